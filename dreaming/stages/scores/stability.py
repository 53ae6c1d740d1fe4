"""Flicker of masks and stylised frames over time, for the ``evaluate`` stage."""

from collections.abc import Callable
from typing import Any, TypeVar

from numpy.typing import NDArray

from dreaming.artifacts.measurements import measured
from dreaming.clip.clip import Clip
from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow
from dreaming.flow.warp import resize_flow
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.types import Mask
from dreaming.metrics.flicker import Flicker, MaskFlicker, visible_in_both

T = TypeVar("T")


def mask_stability(clip: Clip, masks: FrameFolder, flow: DisFlow) -> tuple[float, dict[str, float]]:
    """Return the mean flicker of a folder of masks along the flow, and each mask's area as a share of the frame."""

    def measure() -> tuple[float, dict[str, float]]:
        areas: dict[str, float] = {}

        def read(stem: str) -> Mask:
            mask = masks.read_mask(stem, clip.size)
            areas[stem] = float(mask.mean())
            return mask

        return _mean_flicker(clip, masks, flow, read, MaskFlicker()), areas

    flicker, areas = _measured(clip, masks, flow, measure)
    return flicker, areas


def styled_flicker(clip: Clip, styled: FrameFolder, flow: DisFlow) -> tuple[float, float]:
    """Return the mean flicker of stylised frames along the flow, 0..255, and that of the original frames."""

    def measure() -> tuple[float, float]:
        ours = _mean_flicker(clip, styled, flow, lambda stem: styled.read(stem, clip.size), Flicker())
        return ours, _mean_flicker(clip, styled, flow, clip.frames.read, Flicker())

    ours, source = _measured(clip, styled, flow, measure)
    return ours, source


def _measured(clip: Clip, made: FrameFolder, flow: DisFlow, measure: Callable[[], T]) -> T:
    """Measure a folder's flicker unless neither it, nor the frames, their shots or the flow have changed."""
    depends = [FlowCache(clip, flow).manifest.fingerprint, clip.sequence_fingerprint]
    return measured(clip.path, f"flicker of {made.path.relative_to(clip.path)}", made.path, depends, measure)


def _mean_flicker(
    clip: Clip, made: FrameFolder, flow: DisFlow, read: Callable[[str], NDArray[Any]], metric: Flicker
) -> float:
    """Compare each frame of a folder with its predecessor in the shot; 0 without a pair. Hold at most two in memory."""
    cache = FlowCache(clip, flow)
    cache.complete(workers=1)
    before: tuple[str, NDArray[Any]] | None = None
    for stem in clip.stems:
        picture = read(stem) if stem in made else None
        if before is not None and picture is not None and clip.shots.joined(before[0], stem):
            backward, forward = (resize_flow(each, clip.size) for each in cache.both_ways(stem, before[0]))
            metric.update([before[1]], [picture], [backward], [visible_in_both(backward, forward)])
        before = None if picture is None else (stem, picture)
    return float(metric.compute()) if metric.update_called else 0.0
