"""Pairs of neighbouring unpainted frames, to measure flicker and to train against it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, NotRequired, TypeAlias, TypedDict

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dreaming.clip.clip import Clip
from dreaming.constraints import NonNegativeFloat, NonNegativeInt, PositiveInt, Range
from dreaming.data.patches import StyleSample
from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow
from dreaming.flow.warp import resize_flow
from dreaming.io.types import Flow, Mask
from dreaming.metrics.flicker import visible_in_both

GuidedFrame: TypeAlias = NDArray[np.uint8]
"""A frame and the channels of its guides, (H, W, 3 + c)."""
Reader: TypeAlias = Callable[[list[str]], Iterable[tuple[str, GuidedFrame]]]
"""Reads named frames with their guides, in order."""
EDGE = 8
"""Flicker is not measured near a patch's border (1/EDGE of its side), where padding changes the output."""


class PairSample(TypedDict):
    """Patches of a frame and its predecessor, cropped where their content has moved to.

    Attributes:
        before: The earlier frame and its guides, (B, 3 + c, S, S) in -1..1; 0 beyond the frame's border.
        after: The later frame, (B, 3 + c, S, S) in -1..1.
        motion: (B, 2, S, S), (x, y) in pixels from a pixel of ``after`` to its position in ``before``.
        visible: (B, 1, S, S) bool, pixels where forward and backward flow agree, away from the patches' borders.
    """

    before: Tensor
    after: Tensor
    motion: Tensor
    visible: Tensor


class PairedSample(StyleSample):
    """A training batch; ``pair`` are patches of unpainted frames, all on each device, if the loss compares them."""

    pair: NotRequired[PairSample]


@dataclass(frozen=True)
class FramePair:
    """A frame ``before`` and its successor ``after``.

    ``backward`` is the flow from ``after`` to ``before`` in pixels, (H, W, 2). ``visible`` are the pixels where forward
    and backward flow agree, (H, W).
    """

    before: GuidedFrame
    after: GuidedFrame
    backward: Flow
    visible: Mask

    def patch(self, top: int, left: int, side: int) -> PairSample:
        """Crop a square of ``after`` and its counterpart in ``before``, moved by the median flow in whole pixels."""
        rows, columns = np.arange(top, top + side), np.arange(left, left + side)
        visible = _crop(self.visible[..., None], rows, columns)[..., 0]
        backward = _crop(self.backward.astype(np.float32), rows, columns)
        x, y = (int(step) for step in np.rint(np.median(backward[visible], axis=0) if visible.any() else np.zeros(2)))
        moved = backward - np.array([x, y], np.float32)
        across, down = np.meshgrid(np.arange(side), np.arange(side))
        for position in (across, down, across + moved[..., 0], down + moved[..., 1]):
            visible &= (position >= side // EDGE) & (position <= side - 1 - side // EDGE)
        frames = (_crop(self.before, rows + y, columns + x, scaled=True), _crop(self.after, rows, columns, scaled=True))
        before, after, motion = (torch.from_numpy(p).permute(2, 0, 1)[None].float() for p in (*frames, moved))
        return {"before": before, "after": after, "motion": motion, "visible": torch.from_numpy(visible)[None, None]}


class PairSource:
    """Random patches of pairs of frames in memory, which take 27 bytes per pixel with a six-channel guide."""

    def __init__(self, pairs: Sequence[FramePair], *, side: int, patches: int, seed: int) -> None:
        self.pairs, self.side, self.patches, self.seed = list(pairs), side, patches, seed

    def make_batch(self, step: int) -> PairSample:
        """Crop the patches of one step, which depend only on seed and step."""
        rng = np.random.default_rng((self.seed, 3, step))
        return stack(self._random_patch(rng) for _ in range(self.patches))

    def _random_patch(self, rng: np.random.Generator) -> PairSample:
        pair = self.pairs[rng.integers(len(self.pairs))]
        top, left = (int(rng.integers(max(0, length - self.side) + 1)) for length in pair.visible.shape)
        return pair.patch(top, left, self.side)


def stack(samples: Iterable[PairSample]) -> PairSample:
    """Concatenate patches of one size to a batch."""
    parts = list(samples)
    return {
        "before": torch.cat([part["before"] for part in parts]),
        "after": torch.cat([part["after"] for part in parts]),
        "motion": torch.cat([part["motion"] for part in parts]),
        "visible": torch.cat([part["visible"] for part in parts]),
    }


@dataclass(frozen=True)
class FlickerProbe:
    """Crops of a few pairs of frames spread over the clip, to measure flicker in validations.

    Attributes:
        flow: Optical flow.
        pairs: Number of pairs; 0: flicker is not measured.
        side: Height and width of a crop in pixels.
    """

    kind: ClassVar[str] = "flicker_probe"

    flow: DisFlow
    pairs: NonNegativeInt = 3
    side: Annotated[int, Range(ge=16)] = 160

    def pair_stems(self, clip: Clip) -> list[str]:
        """Names of the earlier frames of the pairs."""
        return spread(clip.shots.pairs, self.pairs)

    def crops(self, clip: Clip, read: Reader, region: Mask) -> list[PairSample]:
        """Crop each pair where it has most detail in the region (H, W) painted in any keyframe; empty without pairs."""
        side, stems = min(self.side, *clip.size), self.pair_stems(clip)
        pairs = read_pairs(clip, self.flow, read, stems) if stems else ()
        return [pair.patch(*_most_detailed(pair, region, side), side) for pair in pairs]


@dataclass(frozen=True)
class Consistency:
    """Pairs of unpainted frames for a temporal loss.

    Attributes:
        flow: Optical flow.
        weight: Weight of the temporal loss; 0: no pairs are read.
        pairs: Number of pairs in memory, spread over the clip.
        patches: Pairs of patches per step.
    """

    kind: ClassVar[str] = "consistency"

    flow: DisFlow
    weight: NonNegativeFloat = 0.0
    pairs: PositiveInt = 8
    patches: PositiveInt = 1

    def pair_stems(self, clip: Clip, without: Sequence[str]) -> list[str]:
        """Names of the earlier frames of the pairs, without those named; empty if the weight is 0."""
        return spread([stem for stem in clip.shots.pairs if stem not in without], self.pairs) if self.weight else []

    def source(self, clip: Clip, read: Reader, *, without: Sequence[str], side: int, seed: int) -> PairSource | None:
        """Read the pairs but those of ``without``; None if the weight is 0 or there are none."""
        stems = self.pair_stems(clip, without)
        if not stems:
            return None
        return PairSource(list(read_pairs(clip, self.flow, read, stems)), side=side, patches=self.patches, seed=seed)


def spread(stems: Sequence[str], count: int) -> list[str]:
    """Choose ``count`` evenly spread names or fewer, without the ends if possible."""
    count = min(count, len(stems))
    return [stems[int((index + 0.5) * len(stems) / count)] for index in range(count)]


def pair_frames(clip: Clip, pairs: Iterable[str]) -> list[str]:
    """Names of all frames of pairs, in order, each once; ``pairs`` are the names of the earlier frames."""
    earlier, stems = set(pairs), clip.stems
    return [s for before, s in zip([None, *stems], stems, strict=False) if before in earlier or s in earlier]


def read_pairs(clip: Clip, flow: DisFlow, read: Reader, pairs: Sequence[str]) -> Iterator[FramePair]:
    """Yield the pairs with these earlier frames in order, one in memory at a time; compute missing flow."""
    flows = FlowCache(clip, flow)
    flows.complete(pairs, workers=1)
    next_of = dict(zip(clip.stems, clip.stems[1:], strict=False))
    before: tuple[str, GuidedFrame] | None = None
    for stem, frame in read(pair_frames(clip, pairs)):
        if before is not None and before[0] in pairs and next_of[before[0]] == stem:
            backward, forward = (resize_flow(each, clip.size) for each in flows.both_ways(stem, before[0]))
            yield FramePair(before[1], frame, backward, visible_in_both(backward, forward))
        before = stem, frame


def _most_detailed(pair: FramePair, region: Mask, side: int) -> tuple[int, int]:
    """Upper left corner of the square with most visible detail in the region."""
    grey = cv2.cvtColor(np.ascontiguousarray(pair.after[..., :3]), cv2.COLOR_RGB2GRAY)
    detail = np.abs(cv2.Laplacian(grey, cv2.CV_32F)) * (pair.visible & region)
    total = cv2.boxFilter(detail, -1, (side, side), anchor=(0, 0), borderType=cv2.BORDER_CONSTANT)
    room = total[: total.shape[0] - side + 1, : total.shape[1] - side + 1]
    top, left = np.unravel_index(int(room.argmax()), room.shape)
    return int(top), int(left)


def _crop(
    image: NDArray[Any], rows: NDArray[np.intp], columns: NDArray[np.intp], *, scaled: bool = False
) -> NDArray[Any]:
    """Take rows and columns of (H, W, C), 0 beyond the border; ``scaled`` from bytes to -1..1."""
    height, width = image.shape[:2]
    inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))
    crop = image[rows.clip(0, height - 1)[:, None], columns.clip(0, width - 1)]
    return (crop.astype(np.float32) / 127.5 - 1 if scaled else crop) * inside[..., None]
