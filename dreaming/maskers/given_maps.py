"""What other maskers found, as a further input of a network that is trained to do better."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from dreaming.data.lessons import GivenMaps, Maps
from dreaming.frames.clip import Clip
from dreaming.frames.folder import ahead
from dreaming.frames.references import References
from dreaming.maskers.base import Masker
from dreaming.maskers.remembered import Remembered


@dataclass(frozen=True)
class MaskerMaps(GivenMaps):
    """Maps of maskers that are given; each is fitted once for each set of masks left out, and kept on disk.

    Attributes:
        maskers: The maskers by name.
    """

    maskers: Mapping[str, Masker]

    @property
    def names(self) -> tuple[str, ...]:
        """The maskers."""
        return tuple(self.maskers)

    def at(
        self, clip: Clip, references: References, left_out: Collection[str], stems: Iterable[str]
    ) -> Iterator[tuple[str, Maps]]:
        """Yield each named frame's maps, in order, by maskers fitted on all references but those left out."""
        stems, without = list(stems), references.select(left_out)
        # All that were left out together are masked at once: another fold needs the others of them.
        asked = [*without.select(clip.stems).stems, *stems]
        folders = [
            Remembered(clip, name, masker, references, without if len(without) else None).complete(asked)
            for name, masker in self.maskers.items()
        ]

        def read(stem: str) -> tuple[str, Maps]:
            return stem, np.stack([folder.read_probability(stem, clip.size) for folder in folders])

        yield from ahead(read, stems, 2)


def given_maps(**maskers: Masker | None) -> MaskerMaps | None:
    """The maps of the maskers named in a config, but those that are null; None where there is none."""
    chosen = {name: masker for name, masker in maskers.items() if masker is not None}
    return MaskerMaps(chosen) if chosen else None
