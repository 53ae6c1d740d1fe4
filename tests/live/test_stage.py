"""The live stage: a style of its own, without inputs from the whole clip."""

import logging

from live_training import live_stage

from dreaming.flow.dis import DisFlow
from dreaming.guides.edges import EdgeGuide
from dreaming.guides.propagated import PropagatedGuide
from dreaming.live.choice import NAME, SMOOTHED, find_style, guides_of


def test_inputs_from_the_whole_clip_are_left_out_and_named(disc_clip, caplog):
    clip = disc_clip(masks=()).clip
    stage = live_stage(guides={"motion": PropagatedGuide(DisFlow()), "edges": EdgeGuide()}, filtered=True)
    assert "guide" not in stage.inputs
    with caplog.at_level(logging.INFO, "dreaming.live.stage"):
        stage.run(clip)
    assert f"motion, {SMOOTHED}" in [record.args[0] for record in caplog.records if record.args]
    best = find_style(clip, "painted")
    assert best.folder == clip.runs(NAME)
    assert guides_of(best) == [EdgeGuide()]
    assert not clip.runs("style").exists()
    assert not clip.styled(clip.layers[0]).path.exists()
    stage.run(clip)
    assert find_style(clip, "painted").weights == best.weights
