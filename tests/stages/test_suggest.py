"""Suggested frames: where masks are uncertain, far from existing hand masks, and spread out."""

import itertools
import json
import tracemalloc
from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from dreaming.clip.shots import Shots
from dreaming.maskers.base import Masker
from dreaming.stages.mask import MaskStage
from dreaming.stages.suggest import SuggestStage, frame_distances, rank, uncertainty

STEMS = [f"{number:02d}" for number in range(1, 12)]
TIME = frame_distances(np.zeros((11, 1), np.uint8), 0.0, Shots(STEMS))


def test_a_shot_without_a_mask_comes_first():
    distances = frame_distances(np.zeros((11, 1), np.uint8), 0.0, Shots(STEMS, ["09"]))
    ranked = rank(STEMS, ["04"], dict.fromkeys(STEMS, 1.0), distances, 2)
    assert next(stem for stem, _ in ranked) == "10"


def test_with_equal_uncertainty_the_middle_of_the_widest_gap_comes_first():
    ranked = rank(STEMS, ["01", "04", "11"], dict.fromkeys(STEMS, 1.0), TIME, 3)
    assert ranked[0][0] in ("07", "08")
    assert len({stem for stem, _ in ranked}) == 3
    gains = [gain for _, gain in ranked]
    assert gains == sorted(gains, reverse=True)


def test_uncertain_frames_are_chosen_and_each_group_only_once():
    uncertain = {stem: 1.0 if stem in ("03", "04", "05", "09") else 0.01 for stem in STEMS}
    first, second = (stem for stem, _ in rank(STEMS, ["01", "11"], uncertain, TIME, 2))
    assert first in ("03", "04", "05")
    assert second == "09"


def test_marked_frames_are_never_suggested():
    assert rank(STEMS, STEMS[:-1], dict.fromkeys(STEMS, 1.0), TIME, 5)[0][0] == "11"
    assert rank(STEMS, STEMS, dict.fromkeys(STEMS, 1.0), TIME, 5) == []


def test_excluded_frames_are_not_suggested_and_remove_no_uncertainty_around_them():
    uncertain = dict.fromkeys(STEMS, 1.0)
    ((first, best),) = rank(STEMS, ["01", "11"], uncertain, TIME, 1)
    assert first == "06"
    ((second, gain),) = rank(STEMS, ["01", "11"], uncertain, TIME, 1, excluded=["06"])
    assert second != "06"
    assert rank(STEMS, ["01", "06", "11"], uncertain, TIME, 1)[0][1] < 0.7 * gain < gain < best


def test_uncertainty_is_zero_where_all_agree_and_else_a_share_of_the_area():
    sure, other = np.zeros((4, 4), np.float32), np.zeros((4, 4), np.float32)
    sure[0], other[0, :2] = 1, 1
    assert uncertainty([sure, sure]) == 0
    assert uncertainty([sure, other]) == pytest.approx(2 * 2 * 0.25 / 3)
    assert uncertainty([0 * sure]) == 1
    assert uncertainty([0 * sure], min_area=3.0) == 0
    assert uncertainty([sure, other], min_area=6.0) == pytest.approx(2 * 2 * 0.25 / 6)
    assert uncertainty([sure, other], min_area=2.0) == uncertainty([sure, other])


def plain_rank(stems, marked, uncertain, thumbnails, appearance, count, excluded=()):
    """The definition, with all distances at once."""
    apart = np.linalg.norm(thumbnails[:, None].astype(float) - thumbnails, axis=2)
    times = np.abs(np.subtract.outer(np.arange(len(stems)), np.arange(len(stems))))
    distances = times + appearance * apart / np.diagonal(apart, offset=1).mean()
    masked, ranked = [stems.index(stem) for stem in marked], []
    for _ in range(count):
        nearest = distances[:, masked].min(axis=1) if masked else np.full(len(stems), distances.max())
        shares = 1 - np.minimum(distances / np.maximum(nearest, 1e-9)[:, None], 1)
        gains = np.array([uncertain[stem] for stem in stems]) @ shares
        left = [i for i, stem in enumerate(stems) if i not in masked and stem not in excluded]
        best = max(left, key=lambda i: gains[i])
        ranked.append((stems[best], pytest.approx(gains[best])))
        masked.append(best)
    return ranked


@pytest.mark.parametrize("appearance", [0.0, 1.0, 5.0])
@pytest.mark.parametrize("marked", [(), (3,), (0, 40, 41, 149)])
def test_lazy_ranking_equals_the_definition(appearance, marked):
    rng = np.random.default_rng(len(marked))
    stems = [f"{number:03d}" for number in range(150)]
    uncertain = dict(zip(stems, rng.random(150) ** 3, strict=True))
    walk = np.clip(128 + np.cumsum(rng.integers(-9, 10, (150, 12)), axis=0), 0, 255).astype(np.uint8)
    inputs = [stems[index] for index in marked], uncertain
    expected = plain_rank(stems, *inputs, walk, appearance, 12, stems[60:64])
    assert rank(stems, *inputs, frame_distances(walk, appearance, Shots(stems)), 12, stems[60:64]) == expected


def test_memory_does_not_grow_with_the_square_of_the_number_of_frames():
    """All distances of 10,000 frames would take 800 MB, those of 2,000 candidates 160 MB."""
    rng = np.random.default_rng(0)
    stems = [f"{number:05d}" for number in range(10_000)]
    thumbnails = rng.integers(0, 256, (10_000, 3), np.uint8)
    uncertain = dict.fromkeys(stems, 1.0)
    tracemalloc.start()
    ranked = rank(
        stems, [stems[0], stems[-1]], uncertain, frame_distances(thumbnails, 1.0, Shots(stems)), 1, stems[2000:]
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(ranked) == 1
    assert peak < 50e6


@dataclass
class Sides(Masker):
    """Certain up to one frame, uncertain after it."""

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
    logged = [record.args for record in caplog.records if record.name == "dreaming.stages.suggest"]
    assert logged[0] == (", ".join(row["frame"] for row in found), "subject")
    assert (drawing.path / "suggestions.png").exists()


def test_without_masks_and_for_keyframes_frames_are_spread(disc_clip):
    drawing = disc_clip(count=11, masks=(), keyframes=(1,))
    SuggestStage({}, count=2, appearance=0.0).run(drawing.clip)
    found = json.loads((drawing.path / "suggestions.json").read_text())
    assert found["subject"][0]["frame"] == "0006"
    assert found["keyframes/painted"][0]["frame"] > "0004"


@pytest.mark.parametrize("size", [(16, 24), (480, 270), (1080, 1920)])
def test_the_sheet_is_readable_at_any_size_of_frames(disc_clip, size):
    stem = "\u00e4" * 100
    drawing = disc_clip(count=2, size=size, masks=(), keyframes=())
    (drawing.path / "frames/0002.png").rename(drawing.path / f"frames/{stem}.png")
    SuggestStage({}, count=2).run(drawing.clip)
    sheet = cv2.imread(str(drawing.path / "suggestions.png"))
    each = 30 + round(480 * size[0] / max(size))
    assert sheet.shape == (2 * each, 2 * 480, 3), "two for hand masks, two for keyframes"
    for top, left in itertools.product((0, each), (0, 480)):
        label = sheet[top : top + 30, left : left + 480].max(axis=(0, 2))
        assert (label > 128).any()
        assert not label[-8:].any(), "cut off"


def test_suggestions_that_somebody_changed_are_kept(disc_clip):
    drawing = disc_clip(masks=(1, 8))
    for name in ("suggestions.json", "suggestions.png"):
        (drawing.path / name).write_bytes(b"mine")
    suggested(drawing)
    for name in ("suggestions.json.kept-1", "suggestions.png.kept-1"):
        assert (drawing.path / name).read_bytes() == b"mine"


def suggested(drawing, **config):
    maskers = {"lost": Sides("0000")}
    MaskStage(maskers).run(drawing.clip)
    SuggestStage(maskers, **config).run(drawing.clip)
    return [row["frame"] for row in json.loads((drawing.path / "suggestions.json").read_text())["subject"]]


def test_a_frame_with_a_test_mask_is_not_painted_again(disc_clip):
    drawing = disc_clip(masks=())
    for use, stem in {"nn/train": "0001", "nn/valid": "0008", "nn/test": "0004", "ensemble/test": "0005"}.items():
        drawing.save(f"{use}_input/{stem}.png", drawing.images[stem])
        drawing.save(f"{use}_output/{stem}.png", drawing.truth[stem])
    assert sorted(suggested(drawing, count=8)) == ["0002", "0003", "0006", "0007"]


def test_what_looks_like_no_hand_mask_comes_first_as_far_as_appearance_counts(disc_clip):
    """The frames that look different lie near a hand mask: by time alone others come first."""
    drawing = disc_clip(count=11, masks=(1, 11))
    others = ("0002", "0003", "0004", "0005")
    for stem in drawing.stems:
        drawing.save(f"frames/{stem}.png", np.full((32, 48, 3), 250 if stem in others else 5, np.uint8))
    assert suggested(drawing, count=1, appearance=0.0) == ["0006"]
    assert suggested(drawing, count=1, appearance=30.0)[0] in others


@dataclass
class Faint(Masker):
    """The truth with some uncertainty up to one frame, and nearly nothing after it."""

    last: str

    def fit(self, clip, references):
        self._mask = references.masks[0]
        return self

    def predict(self, clip, stems):
        for stem in stems:
            yield stem, np.where(self._mask, np.float32(0.8 if stem <= self.last else 0.004), np.float32(0))


def test_frames_beside_an_empty_hand_mask_are_not_uncertain(disc_clip):
    drawing = disc_clip(count=11, masks=(1, 4))
    for number in (7, 11):
        drawing.save(f"hand_masks/{number:04d}.png", np.zeros((32, 48), bool))
    maskers = {"faint": Faint("0006")}
    MaskStage(maskers).run(drawing.clip)
    SuggestStage(maskers, count=9).run(drawing.clip)
    found = json.loads((drawing.path / "suggestions.json").read_text())["subject"]
    uncertain = {row["frame"]: row["uncertainty"] for row in found}
    assert all(uncertain[stem] < 0.02 for stem in ("0008", "0009", "0010"))
    assert all(uncertain[stem] > 0.3 for stem in ("0002", "0003", "0005", "0006"))
    assert found[-1]["frame"] in ("0008", "0009", "0010")
