"""Probability maps of maskers as additional inputs of a network."""

from collections.abc import Collection, Iterable, Iterator, Mapping

import numpy as np

from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.data.fold_data import Maps
from dreaming.io.prefetch import prefetch_map
from dreaming.maskers.base import Masker
from dreaming.maskers.prediction_cache import PredictionCache


def masker_maps(
    clip: Clip, maskers: Mapping[str, Masker], references: References, left_out: Collection[str], stems: Iterable[str]
) -> Iterator[tuple[str, Maps]]:
    """Yield each named frame's maps, in order, predicted by maskers trained on all references except those left out.

    Each masker is fitted once for each set of masks left out, and its predictions are kept on disk.
    """
    stems, without = list(stems), references.select(left_out)
    # All frames that were left out together are predicted at once, because other folds need the rest of them.
    wanted = [*without.select(clip.stems).stems, *stems]
    folders = [
        PredictionCache(clip, name, masker, references, without if len(without) else None).complete(wanted)
        for name, masker in maskers.items()
    ]

    def read(stem: str) -> tuple[str, Maps]:
        return stem, np.stack([folder.read_probability(stem, clip.size) for folder in folders])

    yield from prefetch_map(read, stems, 2)
