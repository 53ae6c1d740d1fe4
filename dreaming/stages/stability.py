"""How steady masks and stylised frames are over time, of which ``evaluate`` tells a figure and a curve."""

from collections.abc import Callable, Iterator
from statistics import fmean
from typing import Any

from numpy.typing import NDArray

from dreaming.clip.clip import Clip
from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow
from dreaming.flow.warp import resize_flow
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.types import Mask
from dreaming.metrics.flicker import flicker, mask_flicker, visible_in_both


def mask_stability(clip: Clip, masks: FrameFolder, flow: DisFlow) -> tuple[float, dict[str, float]]:
    """Mean flicker of a folder of masks along the flow, and each mask's area as a share of the frame."""
    areas: dict[str, float] = {}

    def read(stem: str) -> Mask:
        mask = masks.read_mask(stem, clip.size)
        areas[stem] = float(mask.mean())
        return mask

    values = list(_along(clip, masks, flow, read, mask_flicker))
    return (fmean(values) if values else 0.0), areas


def styled_flicker(clip: Clip, styled: FrameFolder, flow: DisFlow) -> tuple[float, float]:
    """Mean flicker of stylised frames along the flow, 0..255, and that of the frames themselves beside it."""
    ours = list(_along(clip, styled, flow, lambda stem: styled.read(stem, clip.size), flicker))
    source = list(_along(clip, styled, flow, clip.frames.read, flicker))
    return (fmean(ours), fmean(source)) if ours else (0.0, 0.0)


def _along(
    clip: Clip, made: FrameFolder, flow: DisFlow, read: Callable[[str], NDArray[Any]], compare: Callable[..., float]
) -> Iterator[float]:
    """A comparison of each made frame with the one before, if both are there; two frames are held at a time."""
    cache = FlowCache(clip, flow)
    cache.complete(workers=1)
    before: tuple[str, NDArray[Any]] | None = None
    for stem in clip.stems:
        picture = read(stem) if stem in made else None
        if before is not None and picture is not None:
            backward, forward = (resize_flow(each, clip.size) for each in cache.both_ways(stem, before[0]))
            yield compare(before[1], picture, backward, visible_in_both(backward, forward))
        before = None if picture is None else (stem, picture)
