"""Names in addresses are checked, uploads are limited, errors have a status and a sentence."""

import shutil

import numpy as np
import pytest

MASK = np.arange(32 * 48).reshape(32, 48) % 5 == 0
GREY = MASK.astype(np.uint8) * 255


@pytest.mark.parametrize(
    "name", ["..", "..%2F0001", "%2e%2e%2f0001", "0001.png", "%2Fetc%2Fpasswd", "0001%00", "nobody"]
)
@pytest.mark.parametrize(
    "place",
    [
        "frames/{}", "thumbnails/{}", "masks/{}", "masks/{}/0001", "masks/subject/{}", "predictions/{}/flow/0001",
        "predictions/subject/{}/0001", "predictions/subject/flow/{}", "job/start/{}", "propagated/{}/0001",
        "propagated/subject/{}", "disagreement/{}/0001", "disagreement/subject/{}",
        "frames/{}/download", "keyframes/painted/{}", "parts/{}", "outlines/{}",
        "cleanup/{}", "cleaned/{}/flow/0001", "cleaned/subject/flow/{}",
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


def test_a_frame_that_was_deleted_is_named(disc_clip, visit, at):
    drawing = disc_clip()
    path = drawing.path / "frames/0002.png"

    async def scenario(client):
        await client.get(at("clip"))
        path.unlink()
        return [await (await client.get(at(f"{place}/0002"))).json() for place in ("frames", "thumbnails")]

    answers = visit(drawing.path, scenario)
    assert all(answer["error"].startswith(f"{path}: ") for answer in answers)


def test_a_clip_that_was_deleted_is_named_and_not_made_again(disc_clip, visit, at):
    drawing = disc_clip(keyframes=())

    async def scenario(client):
        shutil.rmtree(drawing.path)
        requests = [
            ("get", "clip"), ("get", "layers"), ("post", "job/start/masks"), ("post", "job/resume"),
            ("put", "layers"), ("put", "cleanup/subject"), ("put", "keyframes/painted/0001?name=a.png"),
            ("post", "parts"),
        ]  # fmt: skip
        headers = {"If-None-Match": "*"}
        return [
            (await client.request(method, at(place), json=[], headers=headers)).status for method, place in requests
        ]

    assert set(visit(drawing.path, scenario)) <= {400, 404, 422}
    assert not drawing.path.exists()
