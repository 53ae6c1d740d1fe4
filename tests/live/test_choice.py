"""Which style runs live: one for live view first, and none that needs the whole clip."""

from functools import partial

import pytest

from dreaming.artifacts.fingerprint import describe
from dreaming.errors import CheckpointError
from dreaming.flow.dis import DisFlow
from dreaming.guides.edges import EdgeGuide
from dreaming.guides.position import PositionGuide
from dreaming.guides.propagated import PropagatedGuide
from dreaming.live.choice import NAME, find_style, guides_of
from dreaming.training.run_registry import Best, record


@pytest.fixture
def trained(disc_clip):
    """Record a training of a clip's layer with these guides, without training."""
    clip = disc_clip(masks=()).clip

    def write(name, filtered=False, **guides):
        folder = clip.runs(name) / "2026-01-01"
        folder.mkdir(parents=True)
        (folder / "best.ckpt").touch()
        fingerprint = {"task": {"guides": describe(guides), "filtered": filtered}, "references": "", "seed": 0}
        record(
            Best(folder, "best.ckpt", 0.5, "val/quality", "max", 1, "holdout", "painted", fingerprint, 1.0),
            clip.runs(name),
        )
        return folder

    return clip, write


def test_a_style_for_live_view_comes_first(trained):
    clip, write = trained
    write("style")
    assert find_style(clip, "painted").folder == clip.runs("style")
    write(NAME)
    assert find_style(clip, "painted").folder == clip.runs(NAME)


def test_guides_are_built_from_the_record(trained):
    clip, write = trained
    guides = {"where": PositionGuide(), "edges": EdgeGuide(sigma=3.0, max_slope=7.0)}
    write("style", **guides)
    assert guides_of(find_style(clip, "painted")) == list(guides.values())


@pytest.mark.parametrize(
    ("train", "named"),
    [
        (lambda write: None, "no trained style"),
        (partial(lambda guide, write: write("style", motion=guide), PropagatedGuide(DisFlow())), "motion"),
        (lambda write: write("style", filtered=True), "smoothed"),
    ],
)
def test_a_layer_without_a_style_for_single_frames_is_refused(trained, train, named):
    clip, write = trained
    train(write)
    with pytest.raises(CheckpointError) as caught:
        find_style(clip, "painted")
    assert named in caught.value.found
