"""What a job has made so far."""

import os

import numpy as np

GREY = np.full((4, 6, 3), 90, np.uint8)


def test_the_newest_results_are_found(disc_clip, visit, at):
    drawing = disc_clip()
    for number, stem in enumerate(["0002", "0001"]):
        path = drawing.save(f"styled/painted/{stem}.png", drawing.images[stem])
        os.utime(path, (number, number))
    for number, run in enumerate(["new", "old"]):
        path = drawing.save(f"runs/style/{run}/training.png", GREY + number)
        os.utime(path, (2 - number, 2 - number))

    async def scenario(client):
        state = await (await client.get(at("progress"))).json()
        sheet = await client.get(at("training.png"))
        assert (await client.get(at("preview.mp4"))).status == 404
        return state, sheet.content_type, await sheet.read()

    state, kind, sheet = visit(drawing.path, scenario)
    assert state["styled"] == [{"layer": "painted", "count": 2, "newest": "0001"}]
    assert state["preview"] is None
    assert (kind, sheet) == ("image/png", (drawing.path / "runs/style/new/training.png").read_bytes())
