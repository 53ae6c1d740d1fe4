"""Predicted masks: those on disk, where they disagree, and one that is propagated at once."""

import numpy as np

MASK = np.arange(32 * 48).reshape(32, 48) % 5 == 0


def test_a_prediction_is_sent(disc_clip, visit, at, decoded):
    drawing = disc_clip(masks=())
    drawing.clip.masks("subject", "flow").write_probability("0003", MASK.astype(np.float32) / 2)

    async def scenario(client):
        assert (await client.get(at("predictions/subject/flow/0002"))).status == 204
        return await (await client.get(at("predictions/subject/flow/0003"))).read()

    assert (decoded(visit(drawing.path, scenario)) == np.where(MASK, 128, 0)).all()


def test_maskers_disagree_where_their_masks_differ(disc_clip, visit, at, decoded):
    drawing = disc_clip(masks=())
    for name, mask in (("flow", MASK), ("pixels", np.ones_like(MASK))):
        drawing.clip.masks("subject", name).write_probability("0003", mask.astype(np.float32))

    async def scenario(client):
        assert (await client.get(at("disagreement/subject/0002"))).status == 204
        return await (await client.get(at("disagreement/subject/0003"))).read()

    assert (decoded(visit(drawing.path, scenario)) == np.where(MASK, 0, 255)).all()


def test_a_frame_without_masks_is_predicted_from_the_nearest_ones(disc_clip, visit, at, decoded):
    drawing = disc_clip(masks=(1, 4, 8), size=(48, 64))

    async def scenario(client):
        return await (await client.get(at("propagated/subject/0003"))).read()

    mask = decoded(visit(drawing.path, scenario)) > 127
    truth = drawing.truth["0003"]
    assert (mask & truth).sum() / (mask | truth).sum() > 0.8
    assert not (drawing.path / "flow").exists()  # that of the stages is another one


def test_a_clip_without_masks_has_nothing_to_propagate(disc_clip, visit, at):
    async def scenario(client):
        return (await client.get(at("propagated/subject/0001"))).status

    assert visit(disc_clip(masks=(1,)).path, scenario) == 422
