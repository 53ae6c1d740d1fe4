"""A hand mask without foreground says that the subject is not in its frame."""

import numpy as np
import pytest

from dreaming.clip.config import Layer
from dreaming.clip.layer_masks import LayerMasks
from dreaming.errors import MaskError
from dreaming.matting.layer_opacity import LayerOpacity
from dreaming.matting.layer_region import LayerRegion

NOTHING = np.zeros((32, 48), bool)


def test_it_is_a_reference_among_others_and_told_once(disc_clip, caplog):
    drawing = disc_clip(masks=(1, 4, 6, 8))
    drawing.save("hand_masks/0006.png", NOTHING)
    drawing.save("hand_masks/0008.png", NOTHING)
    clip = drawing.clip
    references = clip.references("subject", clip.stems)
    assert references.stems == ("0001", "0004", "0006", "0008")
    assert references.present == ("0001", "0004")
    assert not clip.references("subject", ["0008"]).masks.any(), "by itself, too"
    assert not clip.hand_mask("subject", "0006").any()
    told = [record.message for record in caplog.records]
    assert told == [
        "no foreground in hand_masks/0006.png, hand_masks/0008.png: the subject counts as absent from these frames"
    ]


def test_each_part_is_told_by_itself(disc_clip, caplog):
    drawing = disc_clip(masks=())
    for part, mask in (("head", NOTHING), ("body", drawing.truth["0004"])):
        drawing.save(f"parts/{part}/hand_masks/0001.png", drawing.truth["0001"])
        drawing.save(f"parts/{part}/hand_masks/0004.png", mask)
    clip = drawing.clip
    for part in clip.parts:
        clip.training_references(part)
    assert [record.args for record in caplog.records] == [("parts/head/hand_masks/0004.png", "head")]


def test_a_part_that_is_nowhere_is_refused(disc_clip, caplog):
    drawing = disc_clip(count=12, masks=tuple(range(1, 13)))
    for stem in drawing.stems:
        drawing.save(f"hand_masks/{stem}.png", NOTHING)
    clip = drawing.clip
    assert clip.split("subject").validation == "split"
    with pytest.raises(MaskError, match=r"0001\.png: found a mask without any foreground.*paint it again or remove"):
        clip.references("subject", clip.split("subject").nn)
    assert not caplog.text


def test_maskers_are_not_left_with_nothing_to_learn(disc_clip):
    drawing = disc_clip(masks=())
    for half, number, mask in (("nn", 1, NOTHING), ("nn", 3, NOTHING), ("ensemble", 5, drawing.truth["0005"])):
        drawing.save(f"{half}/train_input/{number:04d}.png", drawing.images[f"{number:04d}"])
        drawing.save(f"{half}/train_output/{number:04d}.png", mask)
    with pytest.raises(MaskError) as error:
        drawing.clip.training_references("subject")
    assert "(0001, 0003)" in error.value.found


def test_a_keyframe_shows_nothing_of_a_layer_that_is_not_there(disc_clip):
    drawing = disc_clip(masks=(1, 4), keyframes=(4,))
    drawing.save("hand_masks/0004.png", NOTHING)
    clip = drawing.clip
    layer, region = Layer("painted", part="subject"), LayerRegion(LayerOpacity(LayerMasks([])), margin=2.0)
    with pytest.raises(MaskError, match="found nothing painted where the mask of subject shows the layer"):
        region.restrict(clip, layer, clip.keyframes(layer))
    around = Layer("painted", part="subject", invert=True)
    assert region.restrict(clip, around, clip.keyframes(around)).masks.all()
