"""The cuts of the clip are read and saved."""


def test_cuts_are_saved_where_the_file_is_as_it_was_read(disc_clip, visit, at):
    drawing = disc_clip(masks=(), keyframes=())

    async def scenario(client):
        before = await (await client.get(at("shots"))).json()
        assert before["shots"] is None
        saved = await client.put(at("shots"), json=["0005"], headers={"If-None-Match": "*"})
        for body, status in ((["0099"], 400), ([5], 400), ({"shots": []}, 400), ([], 409)):
            answer = await client.put(at("shots"), json=body, headers={"If-None-Match": "*"})
            assert answer.status == status
        return await (await client.get(at("shots"))).json() == await saved.json()

    assert visit(drawing.path, scenario)
    assert [shot[0] for shot in drawing.clip.shots] == ["0001", "0005"]
