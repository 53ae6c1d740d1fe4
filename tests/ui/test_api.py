"""The addresses of the API: names are checked, versions are required, errors have a status and a sentence."""

import numpy as np
import pytest

MASK = np.arange(32 * 48).reshape(32, 48) % 5 == 0
GREY = MASK.astype(np.uint8) * 255


def test_a_mask_is_painted_corrected_and_removed(disc_clip, visit, at, png, decoded):
    drawing, place = disc_clip(masks=()), at("masks/subject/0002")

    async def scenario(client):
        assert (await client.get(place)).status == 204
        first = await client.put(place, data=png(GREY), headers={"If-None-Match": "*"})
        assert first.status == 200
        shown = await client.get(place)
        assert shown.headers["ETag"] == first.headers["ETag"]
        assert (decoded(await shown.read()) == GREY).all()
        second = await client.put(place, data=png(GREY * 0), headers={"If-Match": first.headers["ETag"]})
        assert (await second.json())["empty"]
        assert (await (await client.get(at("masks/subject"))).json()) == {"empty": ["0002"]}
        assert (await (await client.get(at("clip"))).json())["parts"][0]["masks"] == ["0002"]
        removed = await client.delete(place, headers={"If-Match": second.headers["ETag"]})
        assert (await removed.json()) == {"moved_to": "trash/hand_masks/0002.png"}
        assert (await client.get(place)).status == 204

    visit(drawing.path, scenario)


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 428), ({"If-Match": "*"}, 428), ({"If-Match": '"0"'}, 409), ({"If-None-Match": "*"}, 409)],
)
@pytest.mark.parametrize("method", ["put", "delete"])
def test_a_write_states_what_it_replaces(disc_clip, visit, at, png, method, headers, status):
    drawing, place = disc_clip(masks=(1,)), at("masks/subject/0001")
    before = (drawing.path / "hand_masks/0001.png").read_bytes()

    async def scenario(client):
        response = await client.request(method, place, data=png(GREY), headers=headers)
        if response.status == 409:
            assert (await response.json())["version"] == (await client.get(place)).headers["ETag"].strip('"')
        return response.status

    assert visit(drawing.path, scenario) == status
    assert (drawing.path / "hand_masks/0001.png").read_bytes() == before
    assert not (drawing.path / "trash").exists()


@pytest.mark.parametrize(
    "name", ["..", "..%2F0001", "%2e%2e%2f0001", "0001.png", "%2Fetc%2Fpasswd", "0001%00", "nobody"]
)
@pytest.mark.parametrize(
    "place",
    [
        "frames/{}", "thumbnails/{}", "masks/{}", "masks/{}/0001", "masks/subject/{}", "predictions/{}/flow/0001",
        "predictions/subject/{}/0001", "predictions/subject/flow/{}", "job/start/{}",
    ],
)  # fmt: skip
def test_only_names_of_the_clip_are_known(disc_clip, visit, at, png, place, name):
    drawing = disc_clip(masks=(1,))
    drawing.save("masks/flow/0001.png", MASK)
    before = sorted(drawing.path.parent.rglob("*"))

    async def scenario(client):
        from yarl import URL

        address = client.make_url("/").join(URL(at(place.format(name)), encoded=True))
        headers = {"If-None-Match": "*"}
        return [
            (await client.session.request(method, address, data=data, headers=headers)).status
            for method, data in (("GET", None), ("PUT", png(GREY)), ("DELETE", None), ("POST", b"{}"))
        ]

    assert set(visit(drawing.path, scenario)) <= {403, 404, 405}
    assert sorted(drawing.path.parent.rglob("*")) == before


def test_pictures_are_sent_once(disc_clip, visit, at):
    drawing = disc_clip()

    async def scenario(client):
        for place in (at("frames/0001"), at("thumbnails/0001")):
            first = await client.get(place)
            again = await client.get(place, headers={"If-None-Match": first.headers["ETag"]})
            assert (first.content_type, again.status) == ("image/jpeg", 304)

    visit(drawing.path, scenario)


def test_extracted_frames_are_sent_as_they_are(disc_clip, visit, at):
    drawing = disc_clip(masks=(), keyframes=())
    path = drawing.clip.frames.write("0001", drawing.images["0001"])

    async def scenario(client):
        response = await client.get(at("frames/0001"))
        return response.content_type, await response.read()

    assert visit(drawing.path, scenario) == ("image/png", path.read_bytes())


def test_a_prediction_is_sent(disc_clip, visit, at, decoded):
    drawing = disc_clip(masks=())
    drawing.clip.masks("subject", "flow").write_probability("0003", MASK.astype(np.float32) / 2)

    async def scenario(client):
        return await (await client.get(at("predictions/subject/flow/0003"))).read()

    assert (decoded(visit(drawing.path, scenario)) == np.where(MASK, 128, 0)).all()


def test_a_large_upload_is_refused(disc_clip, visit, at):
    drawing = disc_clip(masks=())

    async def scenario(client):
        data = bytes(33 * 2**20)
        return (await client.put(at("masks/subject/0001"), data=data, headers={"If-None-Match": "*"})).status

    assert visit(drawing.path, scenario) == 413


def test_a_mistake_of_the_user_is_one_sentence(disc_clip, visit, at):
    drawing = disc_clip()
    drawing.save("parts/head/hand_masks/0001.png", drawing.truth["0001"])

    async def scenario(client):
        response = await client.get(at("clip"))
        return response.status, (await response.json()).keys()

    assert visit(drawing.path, scenario) == (422, {"error"})
