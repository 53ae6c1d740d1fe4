"""Masks tracked by a small random network of SAM 2.1: kept, blended, within shots, and cached by content."""

import shutil

import numpy as np
import pytest

from dreaming.artifacts.fingerprint import describe
from dreaming.errors import ParameterError
from dreaming.flow.dis import DisFlow
from dreaming.maskers.flow import FlowMasker
from dreaming.maskers.pretrained.sam2 import Sam2Masker
from dreaming.maskers.pretrained.sam2_network import load_predictor, track


def predicted(clip, masker, stems=None):
    fitted = masker.fit(clip, clip.references("subject", clip.stems))
    return dict(fitted.predict(clip, clip.stems if stems is None else stems))


@pytest.mark.parametrize("name", [None, "", "missing.pt", "."])
def test_a_checkpoint_that_does_not_exist_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParameterError) as refused:
        Sam2Masker(checkpoint=name)
    assert refused.value.name == "checkpoint"


@pytest.mark.slow
def test_hand_masks_are_kept_and_both_directions_blended(checkpoint, disc_clip):
    drawing = disc_clip(count=7, masks=(2, 6))
    clip = drawing.clip
    found = predicted(clip, Sam2Masker(str(checkpoint)))
    assert list(found) == clip.stems
    for stem in ("0002", "0006"):
        np.testing.assert_array_equal(found[stem], drawing.truth[stem])
    stems, predictor = clip.stems[1:6], load_predictor(checkpoint, "", "tiny")
    masks = {0: drawing.truth["0002"], 4: drawing.truth["0006"]}
    forward, backward = (
        dict(track(predictor, lambda index: clip.frames.read(stems[index]), 5, masks, reverse=reverse))
        for reverse in (False, True)
    )
    for index in (1, 2, 3):
        expected = (1 - index / 4) * forward[index] + index / 4 * backward[index]
        np.testing.assert_allclose(found[stems[index]], expected, atol=0.01)
    assert np.ptp(found["0001"]) > 0
    some = predicted(clip, Sam2Masker(str(checkpoint)), ["0004"])
    np.testing.assert_allclose(some["0004"], found["0004"], atol=1e-5)


@pytest.mark.slow
def test_shots_are_tracked_apart(checkpoint, cut_clip, alone):
    drawing = cut_clip(masks=(2, 5))
    found = predicted(drawing.clip, Sam2Masker(str(checkpoint)))
    for stem, probability in predicted(alone(drawing, 0), Sam2Masker(str(checkpoint))).items():
        np.testing.assert_allclose(found[stem], probability, atol=1e-5)
    assert not any(found[stem].any() for stem in drawing.stems[6:])


@pytest.mark.slow
def test_a_result_depends_on_the_weights_and_not_on_their_name(checkpoint, tmp_path, disc_clip):
    other = shutil.copy(checkpoint, tmp_path / "other.pt")
    assert describe(Sam2Masker(str(other))) == describe(Sam2Masker(str(checkpoint)))
    other.write_bytes(checkpoint.read_bytes() + b"0")
    assert describe(Sam2Masker(str(other))) != describe(Sam2Masker(str(checkpoint)))
    shots = disc_clip().clip.shots
    masks = {"0001": "a", "0004": "b", "0008": "c"}, {"0001": "a", "0004": "b", "0008": "d"}
    assert Sam2Masker(str(checkpoint)).unchanged(shots, *masks) == FlowMasker(DisFlow()).unchanged(shots, *masks)
