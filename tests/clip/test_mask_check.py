"""Hand masks that are probably mistakes are named before any masker is trained."""

import cv2
import numpy as np
import pytest

from dreaming.clip.input_check import check_inputs
from dreaming.clip.mask_check import warn_of_unusual_masks
from dreaming.errors import ClipError


def warned(drawing, caplog):
    caplog.clear()
    warn_of_unusual_masks(drawing.clip, "subject")
    return " ".join(str(record.args) for record in caplog.records if record.levelname == "WARNING")


@pytest.mark.parametrize("kind", ["inverted", "white", "larger", "labels"])
@pytest.mark.parametrize("stems", [["0001"], ["0004"], ["0008"], ["0004", "0005"]])
def test_unusual_masks_are_named_and_others_are_not(disc_clip, caplog, kind, stems):
    drawing = disc_clip(masks=(1, 3, 4, 5, 8))
    assert not warned(drawing, caplog)
    for stem in stems if kind != "larger" else stems[:1]:
        disc = drawing.truth[stem].astype(np.uint8)
        match kind:
            case "inverted":
                picture = 255 - disc * 255
            case "white":
                picture = disc * 0 + 255
            case "larger":
                picture = cv2.dilate(disc, np.ones((27, 27), np.uint8)) * 255
            case "labels":
                picture = disc
        drawing.save(f"hand_masks/{stem}.png", picture)
    text = warned(drawing, caplog)
    for stem in ("0001", "0003", "0004", "0005", "0008"):
        assert (f"hand_masks/{stem}.png" in text) == (stem in (stems if kind != "larger" else stems[:1])), (stem, text)


def test_two_of_five_masks_may_be_labels(disc_clip):
    drawing = disc_clip(masks=(1, 3, 4, 5, 8))
    for stem in ("0003", "0005"):
        drawing.save(f"hand_masks/{stem}.png", drawing.truth[stem].astype(np.uint8))
    references = drawing.clip.training_references("subject")
    assert len(references.present) == 5
    for stem, mask in zip(references.stems, references.masks, strict=True):
        np.testing.assert_array_equal(mask, drawing.truth[stem])


@pytest.mark.parametrize("folder", ["masks", "masks/hand"])
def test_hand_masks_in_the_folder_of_results_are_refused(disc_clip, folder):
    drawing = disc_clip(masks=())
    drawing.save(f"{folder}/0001.png", drawing.truth["0001"])
    with pytest.raises(ClipError) as caught:
        check_inputs(drawing.clip)
    assert caught.value.where == str(drawing.path / folder)
    assert str(drawing.path / "hand_masks") in caught.value.hint
