import numpy as np

from dreaming.clip.config import Layer
from dreaming.clip.layer_masks import LayerMasks


def test_the_last_masker_cuts_unless_one_is_named(disc_clip):
    clip = disc_clip().clip
    layer = Layer("painted", part="subject")
    assert LayerMasks(["unet", "flow"]).folder(clip, layer).path.name == "flow"
    assert LayerMasks(["unet", "flow"], "unet").folder(clip, layer).path.name == "unet"
    assert LayerMasks(["unet"]).folder(clip, Layer("painted")) is None


def test_a_mask_may_be_inverted_and_the_whole_frame_needs_none(disc_clip):
    drawing = disc_clip()
    drawing.save("masks/flow/0002.png", drawing.truth["0002"])
    masks, clip = LayerMasks(["flow"]), drawing.clip
    assert np.array_equal(masks.reader(clip, Layer("a", part="subject"))("0002"), drawing.truth["0002"])
    assert np.array_equal(masks.reader(clip, Layer("a", part="subject", invert=True))("0002"), ~drawing.truth["0002"])
    assert masks.reader(clip, Layer("a"))("0002").all()
    assert masks.fingerprint(clip, Layer("a"), "key") == "whole"
