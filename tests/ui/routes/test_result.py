"""Results are shown from their folders, and no other file is."""

import json

import cv2
import numpy as np
import pytest
from yarl import URL


@pytest.fixture
def results(disc_clip):
    """A clip with a result of every kind."""
    drawing = disc_clip(count=2, masks=(1,), keyframes=(1,))
    clip = drawing.clip
    clip.masks("subject", "flow").write_probability("0001", drawing.truth["0001"].astype(np.float32))
    (drawing.path / "masks/empty").mkdir()
    for name in ("styled/painted", "composite"):
        folder = drawing.path / name
        folder.mkdir(parents=True)
        (folder / "0002.png").write_bytes(clip.frames.write("0002", drawing.styled["0002"]).read_bytes())
    (drawing.path / "dream.mp4").write_bytes(bytes(range(100)))
    (drawing.path / "report.html").write_text("<style>p {color: red}</style>")
    run = drawing.path / "runs/evaluate/1"
    run.mkdir(parents=True)
    drawing.save("runs/evaluate/1/worst-subject-flow.png", drawing.images["0001"])
    drawing.save("runs/evaluate/1/other.png", drawing.images["0001"])
    score = {"kind": "mask", "name": "flow", "scored on": "hand masks", "frames": 3, "IoU": 0.9}
    (run / "evaluation.json").write_text(json.dumps({"summary": [score]}))
    return drawing, score


def test_results_are_described(results, visit, at):
    drawing, score = results

    async def scenario(client):
        return await (await client.get(at("results"))).json()

    state = visit(drawing.path, scenario)
    assert state["pictures"] == ["composite", "frames", "keyframes/painted", "masks/flow", "styled/painted"]
    assert (state["report"], state["scores"]) == (True, [score])
    assert state["video"]


def test_an_empty_clip_has_no_results(disc_clip, visit, at):
    async def scenario(client):
        for place in ("dream.mp4", "report.html"):
            assert (await client.get(at(place))).status == 404
        return await (await client.get(at("results"))).json()

    state = visit(disc_clip(count=1, masks=(), keyframes=()).path, scenario)
    assert state == {"pictures": ["frames"], "video": None, "report": False, "scores": []}


def test_pictures_are_sent_as_they_are_or_as_png(results, visit, at, decoded):
    drawing, _ = results
    transparent = np.dstack([drawing.styled["0001"][..., ::-1], np.full((32, 48), 200, np.uint8)])
    cv2.imwrite(str(drawing.path / "keyframes/painted/0001.png"), transparent)

    async def scenario(client):
        styled = await client.get(at("results/styled/painted/0002"))
        assert await styled.read() == (drawing.path / "styled/painted/0002.png").read_bytes()
        assert (await client.get(at("results/styled/painted/0001"))).status == 204
        keyframe = await client.get(at("results/keyframes/painted/0001"))
        np.testing.assert_array_equal(decoded(await keyframe.read()), transparent)

    visit(drawing.path, scenario)


def test_ranges_of_the_video_are_sent(results, visit, at):
    async def scenario(client):
        response = await client.get(at("dream.mp4"), headers={"Range": "bytes=10-19"})
        return response.status, response.content_type, response.headers["Content-Range"], await response.read()

    assert visit(results[0].path, scenario) == (206, "video/mp4", "bytes 10-19/100", bytes(range(10, 20)))


def test_the_report_has_its_style_and_no_script(results, visit, at):
    async def scenario(client):
        picture = await client.get(at("runs/evaluate/1/worst-subject-flow.png"))
        assert (picture.status, picture.content_type) == (200, "image/png")
        return (await client.get(at("report.html"))).headers

    headers = visit(results[0].path, scenario)
    policy = dict(entry.split(maxsplit=1) for entry in headers["Content-Security-Policy"].split("; "))
    assert (policy["default-src"], policy["style-src"]) == ("'none'", "'unsafe-inline'")
    assert "script-src" not in policy
    assert headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize(
    "place",
    [
        "results/hand_masks/0001", "results/masks/0001", "results/masks/flow/none", "results/../0001",
        "results/styled%2F..%2Fhand_masks/0001", "results/%2E%2E/0001", "runs/evaluate/1/other.png",
        "runs/evaluate/1/evaluation.json", "runs/../clip.yaml", "runs/%2E%2E/report.html",
    ],
)  # fmt: skip
def test_other_files_are_not_sent(results, visit, at, place):
    async def scenario(client):
        address = client.make_url("/").join(URL(at(place), encoded=True))
        response = await client.session.get(address)
        return response.status, await response.read()

    status, body = visit(results[0].path, scenario)
    assert status in (204, 403, 404)
    assert len(body) < 100


@pytest.mark.parametrize("name", ["dream.mp4", "report.html"])
def test_links_out_of_the_clip_are_not_followed(disc_clip, visit, at, tmp_path, name):
    drawing = disc_clip(count=1)
    (tmp_path / "other").write_text("secret")
    (drawing.path / name).symlink_to(tmp_path / "other")

    async def scenario(client):
        return (await client.get(at(name))).status

    assert visit(drawing.path, scenario) == 404
