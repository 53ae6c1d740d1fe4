"""The clean-up of a part is read, tried on one frame, and saved."""

import numpy as np
import pytest

from dreaming.clip.config import Layer
from dreaming.stages.composite import CompositeStage, OpenLayer

STEPS = [{"grow": 3}, {"clamp": [0.1, 0.9]}]


@pytest.fixture
def predicted(disc_clip):
    drawing = disc_clip(count=2, masks=(1,))
    drawing.clip.masks("subject", "flow").write_probability("0002", drawing.truth["0002"].astype(np.float32))
    return drawing


def test_the_effect_on_a_frame_is_that_of_the_stage(predicted, visit, at, decoded):
    stage = CompositeStage(maskers=["flow"], cleanup=STEPS, feather=1.5)
    clip = predicted.clip
    layer = OpenLayer(Layer("subject", part="subject"), clip.frames, clip.masks("subject", "flow"))
    expected = stage.opacity(clip, layer, "0002")

    async def scenario(client):
        answer = await client.post(at("cleaned/subject/flow/0002"), json={"steps": STEPS, "feather": 1.5})
        for place in ("cleaned/subject/flow/0001", "cleaned/subject/pixels/0002"):
            assert (await client.post(at(place), json={"steps": []})).status == 204
        without = await client.post(at("cleaned/subject/flow/0002"), json={"steps": STEPS, "matte": True})
        assert without.status == 204
        return await answer.read()

    np.testing.assert_array_equal(decoded(visit(predicted.path, scenario)), np.rint(expected * 255))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"steps": [{"grow": 1e9}]}, 422), ({"steps": [{"erase": 1}]}, 422), ({"steps": [{"clamp": [0.9, 0.1]}]}, 422),
        ({"steps": ["grow"]}, 422), ({"steps": [], "feather": 1e9}, 422), ({"steps": [], "feather": "1"}, 400),
        ({"steps": {"grow": 1}}, 400), ([], 400), ({}, 400),
    ],
)  # fmt: skip
def test_wrong_steps_are_refused(predicted, visit, at, body, status):
    async def scenario(client):
        return (await client.post(at("cleaned/subject/flow/0002"), json=body)).status

    assert visit(predicted.path, scenario) == status


def test_steps_are_saved_where_the_file_is_as_it_was_read(predicted, visit, at):
    async def scenario(client):
        before = await (await client.get(at("cleanup/subject"))).json()
        assert before["steps"] == []
        saved = await client.put(at("cleanup/subject"), json=STEPS, headers={"If-None-Match": "*"})
        late = await client.put(at("cleanup/subject"), json=[], headers={"If-None-Match": "*"})
        unversioned = await client.put(at("cleanup/subject"), json=[])
        assert (late.status, unversioned.status) == (409, 428)
        assert (await client.get(at("cleanup/other"))).status == 404
        after = await (await client.get(at("cleanup/subject"))).json()
        assert after == await saved.json()
        return after["steps"]

    assert visit(predicted.path, scenario) == STEPS
    assert predicted.clip.settings.cleanup == {"subject": STEPS}
