"""The user's annotations in memory: hand-masked frames and stylised keyframes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dreaming.errors import MaskError
from dreaming.io.types import Size

SUBJECT = "subject"
"""The part's name where there is only one."""


@dataclass(frozen=True, eq=False)
class References:
    """Named frames with their hand masks.

    Attributes:
        stems: Frame names, in natural order.
        images: (K, H, W, 3) RGB uint8.
        masks: (K, H, W) bool, True on the subject.
        part: Which part of the picture the masks cut out.
    """

    stems: tuple[str, ...]
    images: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    part: str = SUBJECT

    def __post_init__(self) -> None:
        assert len(self.stems) == len(self.images) == len(self.masks)

    def __len__(self) -> int:
        return len(self.stems)

    @property
    def present(self) -> tuple[str, ...]:
        """Names of the frames that show the subject: those whose mask has foreground."""
        return tuple(stem for stem, mask in zip(self.stems, self.masks, strict=True) if mask.any())

    @property
    def size(self) -> Size:
        """(height, width) in pixels."""
        return self.images.shape[1], self.images.shape[2]

    def check_trainable(self, where: Path) -> None:
        """Refuse masks that show no outline to learn.

        Args:
            where: The clip's folder, for messages.

        Raises:
            MaskError: If none of the masks has any foreground, or any background.
        """
        if len(self) and not self.present:
            raise MaskError(
                where,
                topic="black-masks",
                found=f"no foreground in any hand mask that maskers are trained on ({', '.join(self.stems)})",
                expected=f"at least one that shows the {self.part}",
            )
        if len(self) and self.masks.all():
            raise MaskError(
                where,
                topic="white-masks",
                found=f"white all over in every hand mask that maskers are trained on ({', '.join(self.stems)})",
                expected="white on the subject and black elsewhere",
            )

    def select(self, stems: Iterable[str]) -> Self:
        """Return only the frames of these names, in this collection's order."""
        wanted = set(stems)
        return self._take([index for index, stem in enumerate(self.stems) if stem in wanted])

    def without(self, stems: Iterable[str]) -> Self:
        """Return all frames except those of these names."""
        excluded = set(stems)
        return self._take([index for index, stem in enumerate(self.stems) if stem not in excluded])

    def _take(self, indices: Sequence[int]) -> Self:
        chosen = np.asarray(indices, dtype=np.intp)
        stems = tuple(self.stems[i] for i in indices)
        return replace(self, stems=stems, images=self.images[chosen], masks=self.masks[chosen])

    def folds(self, count: int = 5) -> list[Self]:
        """Return ``min(count, K)`` disjoint folds, each spread over time.

        Frames that show subject and background are distributed first, so that every training set shows both. If only
        one frame does, that frame is in no fold.
        """
        outlined = [bool(mask.any() and not mask.all()) for mask in self.masks]
        outlined = outlined if any(outlined) else [stem in self.present for stem in self.stems]
        indices = sorted(range(len(self)), key=lambda index: not outlined[index])
        if sum(outlined) == 1:
            indices = indices[1:] or indices
        count = min(count, len(indices))
        return [self._take(sorted(indices[start::count])) for start in range(count)]


@dataclass(frozen=True, eq=False)
class Keyframes:
    """Frames of one layer with their stylised versions.

    Attributes:
        stems: Frame names, in natural order.
        sources: (K, H, W, C) uint8: the frame's RGB, then the channels of its guides.
        styled: (K, H, W, 3) RGB uint8.
        masks: (K, H, W) bool, where the style is trained.
    """

    stems: tuple[str, ...]
    sources: NDArray[np.uint8]
    styled: NDArray[np.uint8]
    masks: NDArray[np.bool_]

    def __post_init__(self) -> None:
        assert len(self.stems) == len(self.sources) == len(self.styled) == len(self.masks)

    def __len__(self) -> int:
        return len(self.stems)
