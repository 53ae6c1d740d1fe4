"""The contract of maskers, shown with the smallest one: a new masker is one class."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from dreaming.io.manifest import describe
from dreaming.maskers.base import FrameMasker


@dataclass
class RedMasker(FrameMasker):
    """Whatever is redder than the hand-masked subject's mean, less a margin."""

    margin: float = 40.0

    def fit(self, clip, references) -> Self:
        self._red = references.images[references.masks][:, 0].mean()
        return self

    def predict_frame(self, image):
        return (image[..., 0] > self._red - self.margin).astype(np.float32)


def test_frames_come_in_order_whatever_the_number_of_workers(disc_clip):
    clip = disc_clip().clip
    references = clip.references("subject", clip.stems)
    found = {
        workers: list(RedMasker(workers=workers).fit(clip, references).predict(clip, clip.stems[::-1]))
        for workers in (1, 3)
    }
    assert [stem for stem, _ in found[3]] == clip.stems[::-1]
    for (_, one), (_, three) in zip(found[1], found[3], strict=True):
        assert one.shape == clip.size
        assert np.array_equal(one, three)


def test_only_what_changes_the_result_tells_maskers_apart():
    assert describe(RedMasker(workers=1)) == describe(RedMasker(workers=8))
    assert describe(RedMasker(margin=1)) != describe(RedMasker(margin=2))
