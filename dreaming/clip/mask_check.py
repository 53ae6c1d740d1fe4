"""Warnings about hand masks that are probably not what the user meant."""

import logging
from collections.abc import Iterator, Mapping

import numpy as np

from dreaming.clip.clip import Clip
from dreaming.io.types import Mask

log = logging.getLogger(__name__)

MUCH_LARGER = 3.0
"""Area of a mask, in areas of the larger of its neighbours, above which it is probably wrong."""


def warn_of_unusual_masks(clip: Clip, part: str) -> None:
    """Warn of hand masks that were read in an unusual way, fill the frame, look inverted or are much too large.

    Raises:
        MaskError: If one cannot be used.
        SizeError: If one has another size than the frames.
    """
    areas: dict[str, float] = {}
    unusual: dict[str, list[str]] = {}
    for name, mask, reading in clip.hand_masks(part):
        if reading:
            unusual.setdefault(f"read {reading}", []).append(name)
        if mask.all():
            unusual.setdefault("white all over: the subject fills the frame", []).append(name)
        elif mask.mean() > 0.5 and _border(mask) > 0.5:
            unusual.setdefault("white on most of the frame and its border: inverted?", []).append(name)
        elif mask.any():
            areas[name] = float(mask.mean())
    for name, times in _too_large(areas):
        unusual.setdefault(f"at least {MUCH_LARGER:g} times larger than the masks before and after", []).append(
            f"{name} ({times:.1f} times)"
        )
    for reason, names in unusual.items():
        log.warning("hand masks of %s: %s: %s", part, ", ".join(names), reason)


def _border(mask: Mask) -> float:
    """Share of the frame's border that is foreground."""
    return float(np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]]).mean())


def _too_large(areas: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    names = list(areas)
    for index, name in enumerate(names):
        near = [areas[other] for other in (*names[max(index - 1, 0) : index], *names[index + 1 : index + 2])]
        if near and areas[name] > MUCH_LARGER * max(near):
            yield name, areas[name] / max(near)
