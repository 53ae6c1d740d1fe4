"""Masks are read, written and removed, with the version that they replace."""

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
    ("query", "status"),
    [
        ({"left": 5, "top": 6, "width": 20, "height": 20}, 200),
        ({"left": 30, "top": 5, "width": 20, "height": 20}, 400),
        ({"left": -1, "top": 5, "width": 20, "height": 20}, 400),
        ({"left": 0, "top": 0, "width": 0, "height": 20}, 400),
        ({"left": "x", "top": 0, "width": 20, "height": 20}, 400),
        ({}, 400),
        ({"left": 10, "top": 5, "width": 20, "height": 21}, 422),
    ],
)
def test_an_outline_is_found_in_a_rectangle_of_the_frame(disc_clip, visit, at, png, decoded, query, status):
    drawing = disc_clip(masks=())

    async def scenario(client):
        painted = png(np.zeros((20, 20), np.uint8))
        response = await client.post(at("outlines/0003"), params=query, data=painted)
        return response.status, await response.read()

    found, body = visit(drawing.path, scenario)
    assert found == status
    if status == 200:
        truth = drawing.truth["0003"][6:26, 5:25]
        mask = decoded(body) > 0
        assert (mask & truth).sum() / (mask | truth).sum() > 0.9
    assert not (drawing.path / "hand_masks").exists()


def test_corrections_are_undone_one_by_one(disc_clip, visit, at, png):
    drawing = disc_clip(masks=(1,))
    path = drawing.path / "hand_masks/0001.png"
    before, place = path.read_bytes(), at("masks/subject/0001")

    async def change(client, method, where, version, **options):
        response = await client.request(method, where, headers={"If-Match": f'"{version}"'}, **options)
        return response.status, (await response.json()).get("version", "absent")

    async def scenario(client):
        versions = [(await client.get(place)).headers["ETag"].strip('"')]
        for image in (GREY, 255 - GREY):
            versions.append((await change(client, "PUT", place, versions[-1], data=png(image)))[1])
        await change(client, "DELETE", place, versions[-1])
        assert (await client.post(f"{place}/undo", headers={"If-Match": '"0"'})).status == 409
        undone = [await client.post(f"{place}/undo", headers={"If-None-Match": "*"})]
        found = [(undone[0].status, (await undone[0].json())["version"])]
        for version in versions[:0:-1]:
            found.append(await change(client, "POST", f"{place}/undo", version))
        assert found == [(200, version) for version in versions[::-1]]
        return (await change(client, "POST", f"{place}/undo", versions[0]))[0]

    assert visit(drawing.path, scenario) == 422
    assert path.read_bytes() == before


def test_undoing_a_first_mask_removes_it(disc_clip, visit, at, png):
    drawing, place = disc_clip(masks=(1,)), at("masks/subject/0002")

    async def scenario(client):
        first = await client.put(place, data=png(GREY), headers={"If-None-Match": "*"})
        undone = await client.post(f"{place}/undo", headers={"If-Match": first.headers["ETag"]})
        return (await undone.json())["version"]

    assert visit(drawing.path, scenario) == "absent"
    assert not (drawing.path / "hand_masks/0002.png").exists()


@pytest.mark.parametrize("mask", [MASK, ~MASK, MASK & False, MASK | True], ids=["mask", "inverse", "empty", "full"])
def test_the_page_sends_run_lengths(disc_clip, visit, at, decoded, mask):
    drawing, place = disc_clip(masks=()), at("masks/subject/0002")
    headers = {"If-None-Match": "*", "Content-Type": "application/vnd.dreaming.mask"}
    changes = np.flatnonzero(np.diff(mask.ravel(), prepend=False))
    runs = np.diff(changes, prepend=0, append=mask.size).astype("<u4")

    async def scenario(client):
        for wrong in (runs[:-1].tobytes(), runs.tobytes()[:-1], runs.tobytes() + b"\1\0\0\0", b""):
            assert (await client.put(place, data=wrong, headers=headers)).status == 422
        assert (await client.put(place, data=runs.tobytes(), headers=headers)).status == 200
        return await (await client.get(place)).read()

    assert (decoded(visit(drawing.path, scenario)) == mask * np.uint8(255)).all()
