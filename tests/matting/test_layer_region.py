"""Which pixels of a keyframe a layer's style is learnt from."""

import cv2
import numpy as np
import pytest

from dreaming.clip.config import Layer
from dreaming.clip.layer_masks import LayerMasks
from dreaming.errors import MaskError
from dreaming.imaging.cleanup import Cleanup
from dreaming.instantiation.validation import find_problem, parameters_of
from dreaming.matting.layer_opacity import FAINT, LayerOpacity
from dreaming.matting.layer_region import LayerRegion
from dreaming.stages.composite import CompositeStage

LAYER = Layer("painted", part="subject")


def region(maskers=(), masker=None, margin=None, **opacity):
    return LayerRegion(LayerOpacity(LayerMasks(maskers, masker), **opacity), margin)


def soft(mask):
    """Where a mask is visible that is softened by a sigma of one pixel."""
    return cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1) > 1 / 512


def grown(mask, pixels):
    """A mask and all pixels at most that far away, one by one."""
    rows, columns = np.argwhere(mask).T[:, :, None, None]
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]]
    return ((y - rows) ** 2 + (x - columns) ** 2).min(axis=0) <= pixels**2


def test_the_hand_mask_is_grown_by_what_the_feathered_edge_shows(disc_clip):
    drawing = disc_clip(masks=(1, 4, 8), keyframes=(4,))
    clip = drawing.clip
    keyframes = clip.keyframes(LAYER)
    masks = region(feather=1.0, margin=2.0).restrict(clip, LAYER, keyframes).masks
    np.testing.assert_array_equal(masks[0], grown(soft(drawing.truth["0004"]), 2))
    assert not masks.all()
    inverted = Layer("painted", part="subject", invert=True)
    masks = region(feather=1.0, margin=0.0).restrict(clip, inverted, keyframes).masks
    np.testing.assert_array_equal(masks[0], soft(~drawing.truth["0004"]))


def test_a_masker_s_mask_stands_in_and_what_is_not_painted_stays_out(disc_clip):
    drawing = disc_clip(masks=(1, 8), keyframes=(4, 8))
    drawing.save("masks/flow/0004.png", drawing.truth["0004"])
    drawing.save("masks/flow/0008.png", drawing.truth["0001"])
    painted = np.zeros_like(drawing.truth["0004"])
    painted[:16] = True
    drawing.save("keyframes/painted/masks/0004.png", painted)
    clip = drawing.clip
    of_flow = region(["unet"], "flow", feather=0.0, margin=1.0)
    assert of_flow.inputs == ("mask",)
    masks = of_flow.restrict(clip, LAYER, clip.keyframes(LAYER)).masks
    np.testing.assert_array_equal(masks[0], grown(drawing.truth["0004"], 1) & painted)
    np.testing.assert_array_equal(masks[1], grown(drawing.truth["0001"] | drawing.truth["0008"], 1))


def test_nothing_changes_without_a_margin_or_a_part(disc_clip):
    clip = disc_clip().clip
    keyframes = clip.keyframes(LAYER)
    assert region().restrict(clip, LAYER, keyframes) is keyframes
    assert region(matte="guided").inputs == ()
    whole = Layer("painted")
    assert region(margin=3.0).restrict(clip, whole, keyframes) is keyframes


@pytest.mark.parametrize(
    ("maskers", "told"),
    [
        ([], r"found no mask of subject in that frame, expected a hand mask, or one in masks/<masker>/"),
        (["flow"], r"found no mask of subject in that frame, expected a hand mask, or one in .*masks/flow"),
    ],
)
def test_a_keyframe_without_a_mask_is_named(disc_clip, maskers, told):
    clip = disc_clip(masks=(1, 8)).clip
    narrow = region(maskers, margin=1.0)
    with pytest.raises(MaskError, match=rf"keyframe 0004 of layer painted: {told}.*stages=\[mask\]"):
        narrow.restrict(clip, LAYER, clip.keyframes(LAYER))


def test_a_keyframe_that_does_not_show_the_layer_is_named(disc_clip):
    drawing = disc_clip(masks=(1, 8))
    empty = np.zeros(drawing.clip.size, np.uint8)
    (drawing.path / "masks/flow").mkdir(parents=True)
    assert cv2.imwrite(str(drawing.path / "masks/flow/0004.png"), empty)
    clip = drawing.clip
    with pytest.raises(MaskError, match="keyframe 0004 of layer painted: found nothing painted where the mask of subj"):
        region(["flow"], margin=1.0).restrict(clip, LAYER, clip.keyframes(LAYER))


@pytest.mark.parametrize(
    ("of", "name", "value"),
    [(LayerRegion, "margin", -1), (LayerOpacity, "feather", -0.5), (LayerRegion, "margin", float("nan"))],
)
def test_lengths_below_zero_are_refused(of, name, value):
    assert find_problem(value, parameters_of(of).hints[name])
    assert find_problem(0, parameters_of(of).hints[name]) is None


SOFT = np.float32([[*[0.0] * 8, 0.002, 0.01, *[0.2] * 9, 0.6, *[0.99] * 6, 1.0, 1.0, *[0.0] * 20]] * 32)


@pytest.mark.parametrize(
    ("steps", "invert"),
    [
        ([], False),
        ([], True),
        ([{"grow": 7}], False),
        ([{"shrink": 4}], True),
        ([{"fill_holes": 1.0}], False),
        ([{"remove_small": 0.5}], True),
        ([{"smooth": 3}], False),
        ([{"feather": 4}], False),
        ([{"feather_in": 5}], True),
        ([{"feather_out": 9}], False),
        ([{"clamp": [0.0, 0.1]}, {"grow": 3}, {"feather_out": 6}], False),
    ],
)
@pytest.mark.parametrize(
    "config", [{"matte": "guided"}, {"threshold": None, "feather": 0.0}, {"threshold": 0.1, "feather": 1.5}]
)
def test_the_region_contains_all_that_the_composite_shows(disc_clip, steps, invert, config):
    drawing = disc_clip(masks=(1, 8), count=8)
    frame = SOFT[:, :48].copy()
    frame[10:12, 16:20] = 0.0  # a hole
    for folder in ("masks", "mattes"):
        drawing.save(f"{folder}/flow/0004.png", np.rint(65535 * frame).astype(np.uint16))
    (drawing.path / "clip.yaml").write_text(f"cleanup: {{subject: {steps}}}")
    clip, layer = drawing.clip, Layer("painted", part="subject", invert=invert)
    composite = CompositeStage(maskers=["flow"], **config)
    shown = composite.opacity(clip, composite.open_layer(clip, layer), "0004") > FAINT
    (mask,) = region(["flow"], margin=0.0, **config).restrict(clip, layer, clip.keyframes(layer)).masks
    assert shown.any()
    assert not (shown & ~mask).any()


def test_the_clean_up_of_a_hand_mask_widens_the_region(disc_clip):
    clip, steps = disc_clip(masks=(1, 4, 8)).clip, [{"grow": 5}]
    keyframes = clip.keyframes(LAYER)
    before, after = (region(cleanup=c, feather=0.0, margin=0.0).restrict(clip, LAYER, keyframes) for c in ([], steps))
    np.testing.assert_array_equal(
        after.masks, Cleanup.parse("x", steps)(before.masks[0].astype(np.float32))[None] > FAINT
    )
    assert after.masks.sum() > 1.5 * before.masks.sum()
