"""The Gauss guide covers the layer in every frame; a frame does not depend on the others requested."""

import numpy as np
import pytest

from dreaming.artifacts.fingerprint import describe
from dreaming.artifacts.manifest import Manifest
from dreaming.clip.config import Layer
from dreaming.clip.layer_masks import LayerMasks
from dreaming.errors import ClipError
from dreaming.flow.dis import DisFlow
from dreaming.guides.gauss import GaussGuide

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


def test_the_disc_is_coloured_in_every_frame_and_the_rest_is_black(drawing):
    clip = drawing.clip
    drawn = dict(guide(max_hole=0.0).draw(clip, LAYER, clip.stems))
    assert list(drawn) == clip.stems
    for stem, picture in drawn.items():
        assert picture.shape == (*clip.size, 3)
        assert picture.dtype == np.uint8
        assert picture[drawing.truth[stem]].any(axis=1).all(), stem
    assert (drawn["0004"] == 0).all(axis=2).mean() > 0.3


def test_blobs_too_narrow_for_their_points_are_reported(drawing, caplog):
    clip = drawing.clip
    assert list(guide().draw(clip, LAYER, ["0004"]))
    assert not caplog.records
    for name in ("gauss", "wide"):
        caplog.clear()
        assert list(guide(radius=8.0, sigma=1.0, name=name).draw(clip, LAYER, ["0004"]))
        (record,) = caplog.records
        assert record.levelname == "WARNING"
        title, stems, sigma, radius, *names = record.args
        assert name in title
        assert stems.startswith("0001, 0002")
        assert (sigma, radius, names) == (1.0, 8.0, [name, name])


def test_a_frame_depends_neither_on_the_others_nor_on_workers(drawing):
    clip = drawing.clip
    drawn = dict(guide().draw(clip, LAYER, clip.stems))
    for stem, picture in guide(workers=1).draw(clip, LAYER, ["0007", "0002"]):
        np.testing.assert_array_equal(picture, drawn[stem])
    ((_, other),) = guide(seed=1).draw(clip, LAYER, ["0002"])
    assert (other != drawn["0002"]).any()


def test_inverted_and_whole_frame_layers_are_covered(drawing):
    clip = drawing.clip
    ((_, rest),) = guide().draw(clip, Layer("rest", "subject", invert=True, keyframes="painted"), ["0004"])
    ((_, whole),) = guide().draw(clip, Layer("all", keyframes="painted"), ["0004"])
    assert rest[~drawing.truth["0004"]].any(axis=1).mean() > 0.97
    assert not rest[24, 28].any(), "the middle of the disc"
    assert whole.any(axis=2).mean() > 0.97


def test_inputs_are_the_masks_and_the_names_of_the_keyframes(drawing):
    inputs = guide().inputs(drawing.clip, LAYER)
    drawing.save("keyframes/painted/0004.png", drawing.styled["0005"])
    assert guide().inputs(drawing.clip, LAYER) == inputs, "the stylisation does not matter"
    drawing.save("keyframes/painted/0006.png", drawing.styled["0006"])
    assert guide().inputs(drawing.clip, LAYER) != inputs
    Manifest("mask", 2, {}, {}).write(drawing.path / "masks/drawn/manifest.json")
    assert guide().inputs(drawing.clip, LAYER)["masks"] != inputs["masks"]


def test_masks_of_all_frames_are_required(drawing):
    (drawing.path / "masks/drawn/0003.png").unlink()
    with pytest.raises(ClipError) as caught:
        guide().inputs(drawing.clip, LAYER)
    assert "1 of 8" in caught.value.found
    assert "guide.gauss.masks.masker" in caught.value.hint
    drawing.save("masks/drawn/0003.png", drawing.truth["0003"])
    with pytest.raises(ClipError) as caught:
        GaussGuide(DisFlow(), LayerMasks(["drawn"], "other")).inputs(drawing.clip, LAYER)
    assert "guide.gauss.masks.masker=drawn" in caught.value.hint


def test_the_name_affects_messages_only(drawing):
    assert describe(guide(name="wide")) == describe(guide())
    (drawing.path / "masks/drawn/manifest.json").unlink()
    with pytest.raises(ClipError) as caught:
        guide(name="wide").inputs(drawing.clip, LAYER)
    assert "guide.wide.masks.masker" in caught.value.hint


def test_points_are_not_tracked_across_cuts(cut_clip, alone):
    drawing = cut_clip(masks=(), keyframes=(3,))
    clip = drawing.clip
    (layer,) = clip.layers
    found = dict(guide().draw(clip, layer, clip.stems))
    first = alone(drawing, 0)
    for stem, drawn in guide().draw(first, layer, first.stems):
        np.testing.assert_array_equal(drawn > 0, found[stem] > 0)
    assert all(found[stem].any() for stem in clip.stems)
