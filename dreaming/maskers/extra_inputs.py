"""What other maskers found, as a further input of a network that is trained to do better."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.data.fold_data import ExtraInputs, Maps
from dreaming.io.prefetch import prefetch_map
from dreaming.maskers.base import Masker
from dreaming.maskers.prediction_cache import PredictionCache


@dataclass(frozen=True)
class MaskerInputs(ExtraInputs):
    """Maps of maskers that are given; each is fitted once for each set of masks left out, and kept on disk.

    Attributes:
        maskers: The maskers by name.
    """

    kind: ClassVar[str] = "masker_inputs"

    maskers: Mapping[str, Masker]

    @property
    def names(self) -> tuple[str, ...]:
        """The maskers."""
        return tuple(self.maskers)

    def predict(
        self, clip: Clip, references: References, left_out: Collection[str], stems: Iterable[str]
    ) -> Iterator[tuple[str, Maps]]:
        """Yield each named frame's maps, in order, by maskers fitted on all references but those left out."""
        stems, without = list(stems), references.select(left_out)
        # All that were left out together are masked at once: another fold needs the others of them.
        asked = [*without.select(clip.stems).stems, *stems]
        folders = [
            PredictionCache(clip, name, masker, references, without if len(without) else None).complete(asked)
            for name, masker in self.maskers.items()
        ]

        def read(stem: str) -> tuple[str, Maps]:
            return stem, np.stack([folder.read_probability(stem, clip.size) for folder in folders])

        yield from prefetch_map(read, stems, 2)


def masker_inputs(**maskers: Masker | None) -> MaskerInputs | None:
    """The maps of the maskers named in a config, but those that are null; None where there is none."""
    chosen = {name: masker for name, masker in maskers.items() if masker is not None}
    return MaskerInputs(chosen) if chosen else None
