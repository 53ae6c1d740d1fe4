"""The Gauss guide: no frame of the layer is left black, and a frame looks the same whatever else is drawn."""

import numpy as np
import pytest

from dreaming.clip.config import Layer
from dreaming.clip.layer_masks import LayerMasks
from dreaming.errors import ClipError, ConfigError
from dreaming.flow.dis import DisFlow
from dreaming.guides.gauss import GaussGuide
from dreaming.io.manifest import Manifest, describe

LAYER = Layer("painted", part="subject")
MASKS = LayerMasks(["other", "drawn"])


def guide(**keys):
    return GaussGuide(DisFlow(), MASKS, **{"radius": 3.0, "sigma": 3.0, **keys})


@pytest.fixture
def drawing(disc_clip):
    """With a masker's true masks."""
    made = disc_clip(size=(48, 64))
    for stem, mask in made.truth.items():
        made.save(f"masks/drawn/{stem}.png", mask)
    Manifest("mask", 1, {}, {}).write(made.path / "masks/drawn/manifest.json")
    return made


def test_the_disc_is_coloured_in_every_frame_and_what_is_far_from_it_black(drawing):
    clip = drawing.clip
    drawn = dict(guide(max_hole=0.0).draw(clip, LAYER, clip.stems))
    assert list(drawn) == clip.stems
    for stem, picture in drawn.items():
        assert picture.shape == (*clip.size, 3)
        assert picture.dtype == np.uint8
        assert picture[drawing.truth[stem]].any(axis=1).all(), stem
    assert (drawn["0004"] == 0).all(axis=2).mean() > 0.3


def test_blobs_too_small_for_their_points_are_told(drawing, caplog):
    clip = drawing.clip
    assert list(guide().draw(clip, LAYER, ["0004"]))
    assert "stays black" not in caplog.text
    assert list(guide(radius=8.0, sigma=1.0).draw(clip, LAYER, ["0004"]))
    assert "more than max_hole stays black in frames 0001, 0002" in caplog.text
    assert "raise guide.gauss.sigma or lower guide.gauss.radius" in caplog.text
    list(guide(radius=8.0, sigma=1.0, name="wide").draw(clip, LAYER, ["0004"]))
    assert "wide guide of painted: more than max_hole" in caplog.text
    assert "raise guide.wide.sigma or lower guide.wide.radius" in caplog.text


def test_a_frame_is_the_same_whatever_else_is_drawn_and_by_how_many(drawing):
    clip = drawing.clip
    drawn = dict(guide().draw(clip, LAYER, clip.stems))
    for stem, picture in guide(workers=1).draw(clip, LAYER, ["0007", "0002"]):
        np.testing.assert_array_equal(picture, drawn[stem])
    ((_, other),) = guide(seed=1).draw(clip, LAYER, ["0002"])
    assert (other != drawn["0002"]).any()


def test_everything_but_the_part_and_the_whole_frame(drawing):
    clip = drawing.clip
    ((_, rest),) = guide().draw(clip, Layer("rest", "subject", invert=True, keyframes="painted"), ["0004"])
    ((_, whole),) = guide().draw(clip, Layer("all", keyframes="painted"), ["0004"])
    assert rest[~drawing.truth["0004"]].any(axis=1).mean() > 0.97
    assert not rest[24, 28].any(), "the middle of the disc"
    assert whole.any(axis=2).mean() > 0.97


def test_it_depends_on_the_masks_and_on_which_frames_are_painted(drawing):
    inputs = guide().inputs(drawing.clip, LAYER)
    drawing.save("keyframes/painted/0004.png", drawing.styled["0005"])
    assert guide().inputs(drawing.clip, LAYER) == inputs, "not on how they are painted"
    drawing.save("keyframes/painted/0006.png", drawing.styled["0006"])
    assert guide().inputs(drawing.clip, LAYER) != inputs
    Manifest("mask", 2, {}, {}).write(drawing.path / "masks/drawn/manifest.json")
    assert guide().inputs(drawing.clip, LAYER)["masks"] != inputs["masks"]


def test_masks_of_all_frames_are_asked_for(drawing):
    (drawing.path / "masks/drawn/0003.png").unlink()
    with pytest.raises(ClipError, match=r"no mask of 1 of 8 frames.* or name .* guide\.gauss\.masks\.masker=NAME"):
        guide().inputs(drawing.clip, LAYER)
    drawing.save("masks/drawn/0003.png", drawing.truth["0003"])
    with pytest.raises(ClipError, match=r"no mask of any.* those of drawn with guide\.gauss\.masks\.masker=drawn"):
        GaussGuide(DisFlow(), LayerMasks(["drawn"], "other")).inputs(drawing.clip, LAYER)


def test_its_name_changes_nothing_but_messages(drawing):
    assert describe(guide(name="wide")) == describe(guide())
    (drawing.path / "masks/drawn/manifest.json").unlink()
    with pytest.raises(ClipError, match=r"guide\.wide\.masks\.masker=NAME"):
        guide(name="wide").inputs(drawing.clip, LAYER)


@pytest.mark.parametrize("wrong", [{"radius": 0.0}, {"sigma": -1.0}, {"max_hole": 1.5}])
def test_what_cannot_be_drawn_is_refused(wrong):
    with pytest.raises(ConfigError, match=rf"guide\.gauss\.{next(iter(wrong))}"):
        guide(**wrong)
