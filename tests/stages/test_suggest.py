"""What to paint next: where masks are in doubt, far from the masks there are, and spread out."""

import json
from dataclasses import dataclass

import numpy as np
import pytest

from dreaming.maskers.base import Masker
from dreaming.stages.mask import MaskStage
from dreaming.stages.suggest import SuggestStage, doubt, rank

STEMS = [f"{number:02d}" for number in range(1, 12)]
TIME = np.abs(np.subtract.outer(np.arange(11), np.arange(11))).astype(float)


def test_with_equal_doubt_the_middle_of_the_widest_gap_comes_first():
    ranked = rank(STEMS, ["01", "04", "11"], dict.fromkeys(STEMS, 1.0), TIME, 3)
    assert ranked[0][0] in ("07", "08")
    assert len({stem for stem, _ in ranked}) == 3
    gains = [gain for _, gain in ranked]
    assert gains == sorted(gains, reverse=True)


def test_doubt_draws_the_choice_and_what_is_chosen_draws_no_more():
    doubts = {stem: 1.0 if stem in ("03", "04", "05", "09") else 0.01 for stem in STEMS}
    first, second = (stem for stem, _ in rank(STEMS, ["01", "11"], doubts, TIME, 2))
    assert first in ("03", "04", "05")
    assert second == "09"


def test_marked_frames_are_never_suggested():
    assert rank(STEMS, STEMS[:-1], dict.fromkeys(STEMS, 1.0), TIME, 5)[0][0] == "11"
    assert rank(STEMS, STEMS, dict.fromkeys(STEMS, 1.0), TIME, 5) == []


def test_frames_passed_over_are_not_suggested_and_mend_nothing_around_them():
    doubts = dict.fromkeys(STEMS, 1.0)
    ((first, best),) = rank(STEMS, ["01", "11"], doubts, TIME, 1)
    assert first == "06"
    ((second, gain),) = rank(STEMS, ["01", "11"], doubts, TIME, 1, passed_over=["06"])
    assert second != "06"
    assert rank(STEMS, ["01", "06", "11"], doubts, TIME, 1)[0][1] < 0.7 * gain < gain < best


def test_doubt_is_none_where_all_agree_and_counts_disagreement_by_area():
    sure, other = np.zeros((4, 4), np.float32), np.zeros((4, 4), np.float32)
    sure[0], other[0, :2] = 1, 1
    assert doubt([sure, sure]) == 0
    assert doubt([sure, other]) == pytest.approx(2 * 2 * 0.25 / 3)
    assert doubt([0 * sure]) == 1
    assert doubt([0 * sure], least=3.0) == 0
    assert doubt([sure, other], least=6.0) == pytest.approx(2 * 2 * 0.25 / 6)
    assert doubt([sure, other], least=2.0) == doubt([sure, other])


@dataclass
class Sides(Masker):
    """Right up to one frame, and lost behind it."""

    last: str

    def fit(self, clip, references):
        self._size = references.size
        return self

    def predict(self, clip, stems):
        for stem in stems:
            yield stem, np.full(self._size, 0.0 if stem <= self.last else 0.5, np.float32)


def test_the_stage_writes_a_list_and_a_sheet(disc_clip, caplog):
    drawing = disc_clip(masks=(1, 8))
    maskers = {"lost": Sides("0004"), "other": Sides("0005")}
    MaskStage(maskers).run(drawing.clip)
    with caplog.at_level("INFO"):
        SuggestStage(maskers, count=2).run(drawing.clip)
    found = json.loads((drawing.path / "suggestions.json").read_text())["subject"]
    assert [row["frame"] in drawing.stems[1:-1] for row in found] == [True, True]
    assert f"paint {found[0]['frame']}, {found[1]['frame']} next" in caplog.text
    assert (drawing.path / "suggestions.png").exists()


def suggested(drawing, **config):
    maskers = {"lost": Sides("0000")}
    MaskStage(maskers).run(drawing.clip)
    SuggestStage(maskers, **config).run(drawing.clip)
    return [row["frame"] for row in json.loads((drawing.path / "suggestions.json").read_text())["subject"]]


def test_a_frame_with_a_test_mask_is_not_painted_again(disc_clip):
    drawing = disc_clip(masks=())
    for place, stem in {"nn/train": "0001", "nn/valid": "0008", "nn/test": "0004", "ensemble/test": "0005"}.items():
        drawing.save(f"{place}_input/{stem}.png", drawing.images[stem])
        drawing.save(f"{place}_output/{stem}.png", drawing.truth[stem])
    assert sorted(suggested(drawing, count=8)) == ["0002", "0003", "0006", "0007"]


def test_what_looks_like_no_hand_mask_comes_first_as_far_as_appearance_counts(disc_clip):
    """Frames near a hand mask look like nothing else: by time alone they can wait."""
    drawing = disc_clip(count=11, masks=(1, 11))
    others = ("0002", "0003", "0004", "0005")
    for stem in drawing.stems:
        drawing.save(f"frames/{stem}.png", np.full((32, 48, 3), 250 if stem in others else 5, np.uint8))
    assert suggested(drawing, count=1, appearance=0.0) == ["0006"]
    assert suggested(drawing, count=1, appearance=30.0)[0] in others


@dataclass
class Faint(Masker):
    """Nothing to speak of in the frames behind one; before it the truth, but for a rest of doubt."""

    last: str

    def fit(self, clip, references):
        self._mask = references.masks[0]
        return self

    def predict(self, clip, stems):
        for stem in stems:
            yield stem, np.where(self._mask, np.float32(0.8 if stem <= self.last else 0.004), np.float32(0))


def test_frames_that_are_said_not_to_show_the_subject_are_in_no_doubt(disc_clip):
    drawing = disc_clip(count=11, masks=(1, 4))
    for number in (7, 11):
        drawing.save(f"hand_masks/{number:04d}.png", np.zeros((32, 48), bool))
    maskers = {"faint": Faint("0006")}
    MaskStage(maskers).run(drawing.clip)
    SuggestStage(maskers, count=9).run(drawing.clip)
    found = json.loads((drawing.path / "suggestions.json").read_text())["subject"]
    doubts = {row["frame"]: row["doubt"] for row in found}
    assert all(doubts[stem] < 0.02 for stem in ("0008", "0009", "0010"))
    assert all(doubts[stem] > 0.3 for stem in ("0002", "0003", "0005", "0006"))
    assert found[-1]["frame"] in ("0008", "0009", "0010")


def test_without_masks_there_is_nothing_to_suggest(disc_clip):
    assert "no hand masks" in SuggestStage({}).skips(disc_clip("bare", masks=()).clip)
