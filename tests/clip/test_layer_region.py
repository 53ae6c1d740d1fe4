"""Which pixels of a keyframe a layer's style is learnt from."""

import cv2
import numpy as np
import pytest

from dreaming.cli.validation import find_problem, parameters_of
from dreaming.clip.config import Layer
from dreaming.clip.layer_masks import LayerMasks
from dreaming.clip.layer_region import LayerRegion
from dreaming.errors import MaskError

LAYER = Layer("painted", part="subject")


def grown(mask, pixels):
    """A mask and all pixels at most that far away, one by one."""
    rows, columns = np.argwhere(mask).T[:, :, None, None]
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]]
    return ((y - rows) ** 2 + (x - columns) ** 2).min(axis=0) <= pixels**2


def test_the_hand_mask_is_grown_by_what_the_feathered_edge_shows(disc_clip):
    drawing = disc_clip(masks=(1, 4, 8), keyframes=(4,))
    clip = drawing.clip
    keyframes = clip.keyframes(LAYER)
    masks = LayerRegion(LayerMasks([]), feather=1.0, margin=2.0).restrict(clip, LAYER, keyframes).masks
    np.testing.assert_array_equal(masks[0], grown(drawing.truth["0004"], 5))
    assert not masks.all()
    inverted = Layer("painted", part="subject", invert=True)
    masks = LayerRegion(LayerMasks([]), feather=1.0, margin=0.0).restrict(clip, inverted, keyframes).masks
    np.testing.assert_array_equal(masks[0], grown(~drawing.truth["0004"], 3))


def test_a_masker_s_mask_stands_in_and_what_is_not_painted_stays_out(disc_clip):
    drawing = disc_clip(masks=(1, 8), keyframes=(4, 8))
    drawing.save("masks/flow/0004.png", drawing.truth["0004"])
    drawing.save("masks/flow/0008.png", ~drawing.truth["0008"])
    painted = np.zeros_like(drawing.truth["0004"])
    painted[:16] = True
    drawing.save("keyframes/painted/masks/0004.png", painted)
    clip = drawing.clip
    region = LayerRegion(LayerMasks(["unet"], "flow"), feather=0.0, margin=1.0)
    assert region.requires_masks
    masks = region.restrict(clip, LAYER, clip.keyframes(LAYER)).masks
    np.testing.assert_array_equal(masks[0], grown(drawing.truth["0004"], 1) & painted)
    np.testing.assert_array_equal(masks[1], grown(drawing.truth["0008"], 1), err_msg="the hand mask goes first")


def test_nothing_changes_without_a_margin_or_a_part(disc_clip):
    clip = disc_clip().clip
    keyframes = clip.keyframes(LAYER)
    assert LayerRegion(LayerMasks([])).restrict(clip, LAYER, keyframes) is keyframes
    assert not LayerRegion(LayerMasks([])).requires_masks
    whole = Layer("painted")
    assert LayerRegion(LayerMasks([]), margin=3.0).restrict(clip, whole, keyframes) is keyframes


@pytest.mark.parametrize(
    ("maskers", "told"),
    [
        ([], r"found no mask of subject in that frame, expected a hand mask, or one in masks/<masker>/"),
        (["flow"], r"found no mask of subject in that frame, expected a hand mask, or one in .*masks/flow"),
    ],
)
def test_a_keyframe_without_a_mask_is_named(disc_clip, maskers, told):
    clip = disc_clip(masks=(1, 8)).clip
    region = LayerRegion(LayerMasks(maskers), margin=1.0)
    with pytest.raises(MaskError, match=rf"keyframe 0004 of layer painted: {told}.*stages=\[mask\]"):
        region.restrict(clip, LAYER, clip.keyframes(LAYER))


def test_a_keyframe_that_does_not_show_the_layer_is_named(disc_clip):
    drawing = disc_clip(masks=(1, 8))
    empty = np.zeros(drawing.clip.size, np.uint8)
    (drawing.path / "masks/flow").mkdir(parents=True)
    assert cv2.imwrite(str(drawing.path / "masks/flow/0004.png"), empty)
    clip = drawing.clip
    with pytest.raises(MaskError, match="keyframe 0004 of layer painted: found nothing painted where the mask of subj"):
        LayerRegion(LayerMasks(["flow"]), margin=1.0).restrict(clip, LAYER, clip.keyframes(LAYER))


@pytest.mark.parametrize(("name", "value"), [("margin", -1), ("feather", -0.5), ("margin", float("nan"))])
def test_lengths_below_zero_are_refused(name, value):
    assert find_problem(value, parameters_of(LayerRegion).hints[name])
    assert find_problem(0, parameters_of(LayerRegion).hints[name]) is None
