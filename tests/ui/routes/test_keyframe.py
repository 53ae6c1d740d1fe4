"""Keyframes, layers and parts are changed by requests that state what they replace."""

import sys

import pytest

from dreaming.ui.routes import keyframe

WAITS = [sys.executable, "-c", "import time; time.sleep(60)"]
NEW = {"If-None-Match": "*"}


def test_a_frame_is_downloaded_and_its_painting_stored_replaced_and_removed(disc_clip, visit, at, png):
    drawing, place = disc_clip(keyframes=()), at("keyframes/painted/0002")
    painted, other = png(drawing.styled["0002"]), png(drawing.styled["0003"])

    async def scenario(client):
        frame = await (await client.get(at("frames/0002/download"))).read()
        assert frame == (drawing.path / "frames/0002.png").read_bytes()
        assert (await (await client.get(place)).json()) == {"version": "absent", "name": None}
        assert (await client.put(place, data=painted, params={"name": "a.png"})).status == 428
        stored = await (await client.put(place, data=painted, params={"name": "a.png"}, headers=NEW)).json()
        assert stored == (await (await client.get(place)).json())
        assert stored["name"] == "0002.png"
        assert (drawing.path / "keyframes/painted/0002.png").read_bytes() == painted
        refused = await client.put(place, data=other, params={"name": "a.png"}, headers=NEW)
        assert (refused.status, (await refused.json())["version"]) == (409, stored["version"])
        match = {"If-Match": f'"{stored["version"]}"'}
        assert (await client.put(place, data=b"text", params={"name": "a.png"}, headers=match)).status == 422
        replaced = await (await client.put(place, data=other, params={"name": "b.png"}, headers=match)).json()
        assert (await client.delete(place, headers=match)).status == 409
        removed = await client.delete(place, headers={"If-Match": f'"{replaced["version"]}"'})
        assert (await removed.json()) == {"moved_to": "trash/keyframes/painted/0002.png.kept-1"}
        assert (await client.delete(place, headers=NEW)).status == 404

    visit(drawing.path, scenario)
    assert (drawing.path / "trash/keyframes/painted/0002.png").read_bytes() == painted
    assert not (drawing.path / "keyframes/painted").exists()


@pytest.mark.parametrize("layer", ["..", "%2e%2e", "..%2Fother", "a%2Fb", ".hidden", "a%00", "a%5Cb"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_layers_stay_inside_the_clip(disc_clip, visit, at, png, layer, method):
    drawing = disc_clip()
    before = sorted(drawing.path.parent.rglob("*"))

    async def scenario(client):
        from yarl import URL

        address = client.make_url("/").join(URL(at(f"keyframes/{layer}/0001?name=a.png"), encoded=True))
        response = await client.session.request(method, address, data=png(drawing.styled["0001"]), headers=NEW)
        return response.status, await response.read()

    status, body = visit(drawing.path, scenario)
    assert status in (403, 404, 422) or b"absent" in body
    assert sorted(drawing.path.parent.rglob("*")) == before


def test_a_large_keyframe_is_refused(disc_clip, visit, at, monkeypatch):
    monkeypatch.setattr(keyframe, "MAX_KEYFRAME", 1000)
    drawing = disc_clip(keyframes=())

    async def scenario(client):
        place = at("keyframes/painted/0001")
        return (await client.put(place, data=bytes(10_000), params={"name": "a.png"}, headers=NEW)).status

    assert visit(drawing.path, scenario) == 413
    assert not (drawing.path / "keyframes").exists()


def test_layers_are_derived_listed_and_checked(disc_clip, visit, at):
    drawing = disc_clip()
    derived = {"name": "painted", "part": "subject", "invert": False, "keyframes": None}

    async def scenario(client):
        state = await (await client.get(at("layers"))).json()
        assert state == {"layers": [derived], "listed": False, "version": "absent", "problem": None}
        assert (await client.put(at("layers"), json=[derived])).status == 428
        assert (await client.put(at("layers"), data=b"[", headers=NEW)).status == 400
        assert (await client.put(at("layers"), json={}, headers=NEW)).status == 400
        assert (await client.put(at("layers"), json=[{"name": ".."}], headers=NEW)).status == 422
        layers = [derived | {"part": None}, {"name": "other", "part": "body"}]
        state = await (await client.put(at("layers"), json=layers, headers=NEW)).json()
        assert state["listed"]
        assert [layer["part"] for layer in state["layers"]] == [None, "body"]
        assert "body" in state["problem"]
        assert (await client.put(at("layers"), json=[derived], headers=NEW)).status == 409

    visit(drawing.path, scenario)


def test_parts_are_added_and_renamed_unless_a_job_reads_them(disc_clip, visit, at):
    drawing = disc_clip()

    async def scenario(client):
        assert (await client.post(at("parts"), json={"name": 7})).status == 400
        assert (await client.post(at("parts"), json={"name": "../a"})).status == 422
        assert (await (await client.post(at("parts"), json={"name": "head"})).json()) == ["head", "subject"]
        assert (await (await client.post(at("parts/subject"), json={"name": "body"})).json()) == ["body", "head"]
        await client.post(at("job/start/masks"))
        assert (await client.post(at("parts"), json={"name": "leg"})).status == 409
        assert (await client.post(at("parts/head"), json={"name": "leg"})).status == 409

    visit(drawing.path, scenario, program=WAITS)
    assert drawing.clip.parts == ["body"]
