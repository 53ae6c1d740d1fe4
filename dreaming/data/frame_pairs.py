"""Pairs of unpainted neighbouring frames, by which flicker is judged and a network learns not to flicker."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NotRequired, TypeAlias, TypedDict

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dreaming.clip.clip import Clip
from dreaming.data.patches import StyleSample
from dreaming.errors import ConfigError
from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow
from dreaming.flow.warp import resize_flow
from dreaming.io.types import Flow, Mask
from dreaming.metrics.flicker import visible_in_both

Guided: TypeAlias = NDArray[np.uint8]
"""(H, W, 3 + c), a frame and the channels of its guides."""
Reader: TypeAlias = Callable[[list[str]], Iterable[tuple[str, Guided]]]
"""Gives named frames with their guides, in order."""
EDGE = 8
"""The part of a patch's side, at each end, where its border is too near to tell flicker from what padding does."""


class PairSample(TypedDict):
    """Patches of a frame and of the one before it, cut out where their content has moved to.

    Attributes:
        before: (B, 3 + c, S, S) in -1..1, the earlier frame and its guides; 0 beyond the frame's border.
        after: (B, 3 + c, S, S) in -1..1, the later one.
        motion: (B, 2, S, S), (x, y) in pixels from a pixel of ``after`` to where it lies in ``before``.
        seen: (B, 1, S, S) bool, where the flow there and the flow back agree, away from the patches' borders.
    """

    before: Tensor
    after: Tensor
    motion: Tensor
    seen: Tensor


class PairedSample(StyleSample):
    """A training batch with patches of unpainted frames.

    Attributes:
        pair: Where a network is to learn steadiness; every device has all of it.
    """

    pair: NotRequired[PairSample]


@dataclass(frozen=True)
class FramePair:
    """A frame and its successor.

    Attributes:
        before: The frame.
        after: Its successor.
        backward: (H, W, 2) in pixels, where each pixel of ``after`` lies in ``before``.
        seen: (H, W), where flow there and back agree.
    """

    before: Guided
    after: Guided
    backward: Flow
    seen: Mask

    def patch(self, top: int, left: int, side: int) -> PairSample:
        """One square of ``after`` and its like in ``before``, moved by the median flow in whole pixels."""
        rows, columns = np.arange(top, top + side), np.arange(left, left + side)
        seen = _cut(self.seen[..., None], rows, columns)[..., 0]
        backward = _cut(self.backward.astype(np.float32), rows, columns)
        x, y = (int(step) for step in np.rint(np.median(backward[seen], axis=0) if seen.any() else np.zeros(2)))
        moved = backward - np.array([x, y], np.float32)
        across, down = np.meshgrid(np.arange(side), np.arange(side))
        for place in (across, down, across + moved[..., 0], down + moved[..., 1]):
            seen &= (place >= side // EDGE) & (place <= side - 1 - side // EDGE)
        frames = (_cut(self.before, rows + y, columns + x, scaled=True), _cut(self.after, rows, columns, scaled=True))
        before, after, motion = (torch.from_numpy(p).permute(2, 0, 1)[None].float() for p in (*frames, moved))
        return {"before": before, "after": after, "motion": motion, "seen": torch.from_numpy(seen)[None, None]}


class PairSource:
    """Whole pairs of frames held in memory, and patches of them; 27 bytes a pixel for each with a six-channel guide.

    Args:
        pairs: One or more.
        side: Height and width of a patch in pixels.
        patches: Drawn a step.
        seed: Of the draws.
    """

    def __init__(self, pairs: Sequence[FramePair], *, side: int, patches: int, seed: int) -> None:
        self.pairs, self.side, self.patches, self.seed = list(pairs), side, patches, seed

    def make_batch(self, step: int) -> PairSample:
        """The patches of one step, which depend on seed and step alone."""
        rng = np.random.default_rng((self.seed, 3, step))
        return stacked(self._one(rng) for _ in range(self.patches))

    def _one(self, rng: np.random.Generator) -> PairSample:
        pair = self.pairs[rng.integers(len(self.pairs))]
        top, left = (int(rng.integers(max(0, length - self.side) + 1)) for length in pair.seen.shape)
        return pair.patch(top, left, self.side)


def stacked(samples: Iterable[PairSample]) -> PairSample:
    """Several patches of one size as one batch."""
    known = list(samples)
    before, after, motion, seen = (
        torch.cat(parts)
        for parts in zip(*((s["before"], s["after"], s["motion"], s["seen"]) for s in known), strict=True)
    )
    return {"before": before, "after": after, "motion": motion, "seen": seen}


@dataclass(frozen=True)
class Probe:
    """Crops of a few pairs of frames spread over the clip, by which flicker is judged during training.

    Attributes:
        flow: How flow is computed.
        pairs: How many; 0: none, and no ``val/flicker``.
        side: Height and width of a crop in pixels.
    """

    kind: ClassVar[str] = "probe"

    flow: DisFlow
    pairs: int = 3
    side: int = 160

    def __post_init__(self) -> None:
        _check("model.style.probe", pairs=(self.pairs, 0), side=(self.side, 16))

    def chosen(self, clip: Clip) -> list[str]:
        """Names of the pairs, those of their earlier frames."""
        return spread(clip.stems[:-1], self.pairs)

    def of(self, clip: Clip, read: Reader, where: Mask) -> PairSample | None:
        """The crops, each where its frame shows most; None for a clip without pairs.

        Args:
            clip: The clip.
            read: Gives named frames with their guides, in order.
            where: (H, W), where the style is to be learnt in any keyframe.
        """
        chosen = self.chosen(clip)
        if not chosen:
            return None
        side = min(self.side, *clip.size)
        return stacked(
            pair.patch(*_richest(pair, where, side), side) for pair in read_pairs(clip, self.flow, read, chosen)
        )


@dataclass(frozen=True)
class Consistency:
    """Pairs of unpainted frames from which a network learns not to flicker.

    Attributes:
        flow: How flow is computed.
        weight: What the loss counts beside the others; 0: nothing, and no pairs are read.
        pairs: How many pairs, spread over the clip, are held in memory.
        patches: Pairs of patches a step.
    """

    kind: ClassVar[str] = "consistency"

    flow: DisFlow
    weight: float = 0.0
    pairs: int = 8
    patches: int = 1

    def __post_init__(self) -> None:
        _check("model.style.consistency", weight=(self.weight, 0), pairs=(self.pairs, 1), patches=(self.patches, 1))

    def chosen(self, clip: Clip, without: Sequence[str]) -> list[str]:
        """Names of the pairs, those of their earlier frames, but for some; none where they count nothing."""
        return spread([stem for stem in clip.stems[:-1] if stem not in without], self.pairs) if self.weight else []

    def of(
        self,
        clip: Clip,
        read: Reader,
        *,
        without: Sequence[str],
        side: int,
        seed: int,
    ) -> PairSource | None:
        """The pairs; None where they count nothing or the clip has none.

        Args:
            clip: The clip.
            read: Gives named frames with their guides, in order.
            without: Names of pairs by which flicker is judged.
            side: Height and width of a patch in pixels.
            seed: Of the draws.
        """
        chosen = self.chosen(clip, without)
        if not chosen:
            return None
        pairs = list(read_pairs(clip, self.flow, read, chosen))
        return PairSource(pairs, side=side, patches=self.patches, seed=seed)


def spread(stems: Sequence[str], count: int) -> list[str]:
    """``count`` names or fewer, evenly spread, the ends left out where there is a choice."""
    count = min(count, len(stems))
    return [stems[int((place + 0.5) * len(stems) / count)] for place in range(count)]


def frames_of(clip: Clip, pairs: Iterable[str]) -> list[str]:
    """Names of the frames of pairs that are named like their earlier frame, in order, each once."""
    first, names = set(pairs), clip.stems
    return [stem for before, stem in zip([None, *names], names, strict=False) if before in first or stem in first]


def read_pairs(clip: Clip, flow: DisFlow, read: Reader, pairs: Sequence[str]) -> Iterator[FramePair]:
    """Yield pairs named like their earlier frame, in order, holding one at a time; flow is made where it is missing."""
    flows = FlowCache(clip, flow)
    flows.complete(pairs, workers=1)
    next_of = dict(zip(clip.stems, clip.stems[1:], strict=False))
    before: tuple[str, Guided] | None = None
    for stem, frame in read(frames_of(clip, pairs)):
        if before is not None and before[0] in pairs and next_of[before[0]] == stem:
            backward, forward = (resize_flow(each, clip.size) for each in flows.both_ways(stem, before[0]))
            yield FramePair(before[1], frame, backward, visible_in_both(backward, forward))
        before = stem, frame


def _richest(pair: FramePair, where: Mask, side: int) -> tuple[int, int]:
    """Upper left corner of the square with most seen detail among what is to be painted."""
    grey = cv2.cvtColor(np.ascontiguousarray(pair.after[..., :3]), cv2.COLOR_RGB2GRAY)
    detail = np.abs(cv2.Laplacian(grey, cv2.CV_32F)) * (pair.seen & where)
    total = cv2.boxFilter(detail, -1, (side, side), anchor=(0, 0), borderType=cv2.BORDER_CONSTANT)
    room = total[: total.shape[0] - side + 1, : total.shape[1] - side + 1]
    top, left = np.unravel_index(int(room.argmax()), room.shape)
    return int(top), int(left)


def _check(where: str, **values: tuple[float, float]) -> None:
    for key, (value, least) in values.items():
        if not least <= value < np.inf:
            raise ConfigError(f"{where}.{key}", found=str(value), expected=f"{least} or more", hint="correct it")


def _cut(
    picture: NDArray[Any], rows: NDArray[np.intp], columns: NDArray[np.intp], *, scaled: bool = False
) -> NDArray[Any]:
    """Rows and columns of (H, W, C), 0 beyond the border; ``scaled`` from bytes to -1..1."""
    height, width = picture.shape[:2]
    inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))
    found = picture[rows.clip(0, height - 1)[:, None], columns.clip(0, width - 1)]
    return (found.astype(np.float32) / 127.5 - 1 if scaled else found) * inside[..., None]
