"""The score of a masker on hand masks that it has not seen."""

from dataclasses import dataclass

import numpy as np
import pytest

from dreaming.maskers.base import Masker
from dreaming.maskers.out_of_fold_score import jaccard_of
from dreaming.stages.evaluate import EvaluateStage


@dataclass
class Remembering(Masker):
    """Knows the masks that it was fitted on, and takes half the frame for the subject elsewhere."""

    def fit(self, clip, references):
        self.seen = dict(zip(references.stems, references.masks, strict=True))
        return self

    def predict(self, clip, stems):
        for stem in stems:
            half = np.zeros(clip.size, np.float32)
            half[:, : clip.size[1] // 2] = 1
            yield stem, self.seen.get(stem, half).astype(np.float32)


def test_no_mask_is_judged_by_a_masker_that_has_seen_it(disc_clip):
    drawing = disc_clip(masks=(1, 4, 8))
    half = np.zeros(drawing.clip.size, bool)
    half[:, : half.shape[1] // 2] = True
    truth = [drawing.truth[stem] for stem in ("0001", "0004", "0008")]
    expected = np.mean([(half & mask).sum() / (half | mask).sum() for mask in truth])
    masker = Remembering()
    assert jaccard_of(masker, drawing.clip) == pytest.approx(expected)
    assert not hasattr(masker, "seen"), "the masker itself is left as it was"


def test_evaluate_returns_it_and_writes_nothing(disc_clip):
    clip = disc_clip(masks=(1, 8)).clip
    stage = EvaluateStage(maskers=["a"], out_of_fold={"a": Remembering()})
    assert stage.skips(clip) is None
    assert stage.reads == ("extract",)
    assert stage.run(clip) == pytest.approx(jaccard_of(Remembering(), clip))
    assert not (clip.path / "masks").exists()
    assert not (clip.path / "evaluation.json").exists()
    assert "no hand masks" in stage.skips(disc_clip("bare", masks=()).clip)
