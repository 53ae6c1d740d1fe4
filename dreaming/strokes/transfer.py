"""Transfer of brush strokes from the keyframes to frames that the style network has painted."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.clip.clip import Clip
from dreaming.clip.config import Layer
from dreaming.constraints import PositiveFloat, PositiveInt
from dreaming.flow.dis import DisFlow
from dreaming.flow.warp import coordinates, resize_flow, squared_length, warp
from dreaming.imaging.brush_strokes import without_margin
from dreaming.io.manifest import NO_EFFECT
from dreaming.io.prefetch import prefetch_map
from dreaming.io.types import Image, Mask
from dreaming.strokes.bands import SIGMAS, blur, channel_mean, local_correlation, local_energy, split

WINDOW = 8.0
"""Gaussian window of the local energy, in pixels."""

UNKNOWN = 100.0
"""Error, in grey levels, where a keyframe shows nothing: outside of it, or where it is not painted."""

RETURN_ERROR = 4.0
"""Error, in grey levels per pixel, of a flow that does not lead back; for at most ``MAX_RETURN`` pixels."""

MAX_RETURN = 5.0

STEP_ERROR = 0.15
"""Error, in grey levels, of each frame between a frame and its keyframe, which breaks ties between keyframes."""

CORRELATION = (0.3, 0.8)
"""Correlation with the network's strokes above which a keyframe's strokes are mixed in, and replace them."""

MIN_ENERGY = 0.3
"""Variance, in squared grey levels, far below which a band is not amplified."""


@dataclass(frozen=True)
class StrokeTransfer:
    """Give the network's frames the brush strokes of the nearest keyframes.

    A network that is trained for likeness blurs what it cannot foresee: its colours and shapes are right, its fine
    bands (``bands.split``) are faint. One direct optical flow per keyframe finds where the keyframes before and after a
    frame show each of its pixels. At each pixel the one with the smaller error is chosen, because a mean would blur
    strokes. Its fine bands replace the network's where the flow is reliable and both correlate. Then each band is
    amplified to the local energy that it has in the keyframe; where that is unknown, by the ratio of energies in the
    rest of the frame. What is coarser stays the network's, so a wrong flow brings no wrong colours. A frame depends on
    the keyframes and on no other frame.

    The local energy of bands is matched as in Shih et al., "Style Transfer for Headshot Portraits", SIGGRAPH 2014.

    Attributes:
        flow: Optical flow method, for frames that may be far apart.
        tolerance: Error of the flow, in grey levels, at which a keyframe's weight falls to 1/e.
        max_gain: Largest amplification of a band.
        workers: Frames computed at once.
    """

    kind: ClassVar[str] = "stroke_transfer"

    flow: DisFlow
    tolerance: PositiveFloat = 8.0
    max_gain: PositiveFloat = 3.0
    workers: PositiveInt = field(default=2, metadata=NO_EFFECT)

    def apply(self, clip: Clip, layer: Layer, stylised: Iterable[tuple[str, Image]]) -> Iterator[tuple[str, Image]]:
        """Yield each stylised frame of a layer with the strokes of its keyframes, in order."""
        folder = clip.masked_keyframes(layer)
        indices = {stem: index for index, stem in enumerate(clip.stems)}
        keyframe_stems = [stem for stem in clip.stems if stem in folder.painted]

        @lru_cache(maxsize=4)
        def keyframe(stem: str) -> Keyframe:
            return Keyframe(clip.frames.read(stem), folder.painted.read(stem, clip.size), folder.mask(stem, clip.size))

        def transfer(item: tuple[str, Image]) -> tuple[str, Image]:
            stem, image = item
            steps = {key: abs(indices[key] - indices[stem]) for key in nearest(indices, keyframe_stems, stem)}
            return stem, self.transfer(clip.frames.read(stem), image, [(keyframe(k), n) for k, n in steps.items()])

        yield from prefetch_map(transfer, stylised, self.workers)

    def transfer(self, frame: Image, stylised: Image, keyframes: Sequence[tuple["Keyframe", int]]) -> Image:
        """Return a stylised frame (H, W, 3) with the strokes of keyframes.

        Args:
            frame: The source frame, (H, W, 3) RGB.
            stylised: The network's image of it.
            keyframes: One or two keyframes, each with its distance from the frame in steps.
        """
        image = stylised.astype(np.float32)
        coarse = cv2.GaussianBlur(stylised, (0, 0), 3)
        grey, smooth = self.flow.prepare(frame), cv2.GaussianBlur(frame, (0, 0), 1)
        views = [self._view(grey, smooth, coarse, keyframe, steps) for keyframe, steps in keyframes]
        view = views[0] if len(views) == 1 else _select(*views)
        weight = np.exp(-np.square(view.error / self.tolerance))
        painted = view.painted.astype(np.float32)
        share = weight * _ramp(local_correlation(_fine(image), _fine(painted), 5.0), *CORRELATION)
        *bands, result = split(image)
        for band, stroke, energy in zip(bands, split(painted), view.energies, strict=False):
            mixed = band + share[..., None] * (stroke - band)
            own = local_energy(band, WINDOW)
            known = float((weight * own).sum())
            ratio = float((weight * energy).sum()) / known if known > 0 else 1.0
            target = weight * energy + (1 - weight) * min(ratio, self.max_gain**2) * own
            gain = np.sqrt((target + MIN_ENERGY) / (local_energy(mixed, WINDOW) + MIN_ENERGY))
            result += mixed * np.clip(gain, 1, self.max_gain)[..., None]
        return np.clip(np.rint(result), 0, 255).astype(np.uint8)

    def _view(self, grey: NDArray[np.uint8], smooth: Image, coarse: Image, keyframe: "Keyframe", steps: int) -> "_View":
        """Show a keyframe as seen from a frame; ``coarse`` is the network's image of it without strokes."""
        size = smooth.shape[:2]
        other = self.flow.prepare(keyframe.frame)
        flow, back = np.zeros((2, *size, 2), np.float32)
        if steps:
            flow, back = (resize_flow(self.flow.between(*pair), size) for pair in ((grey, other), (other, grey)))
        painted = cv2.remap(
            keyframe.painted, coordinates(flow), None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
        )
        error = _difference(smooth, cv2.GaussianBlur(warp(keyframe.frame, flow), (0, 0), 1))
        error += _difference(coarse, cv2.GaussianBlur(painted, (0, 0), 3))
        error += RETURN_ERROR * np.minimum(np.sqrt(squared_length(flow + warp(back, flow))), MAX_RETURN)
        error += UNKNOWN * (1 - warp(keyframe.known, flow, border=cv2.BORDER_CONSTANT))
        energies = [warp(energy, flow) for energy in keyframe.energies]
        return _View(painted, energies, blur(error, 3) + np.float32(STEP_ERROR * steps))


class Keyframe:
    """A keyframe with the energy of its strokes.

    Attributes:
        frame: The source frame, (H, W, 3) RGB.
        painted: The stylised frame, (H, W, 3) RGB.
        known: (H, W) 1 where strokes are seen whole, 0 where it is not painted.
        energies: Local energy (H, W) of each fine band of the stylised frame, over its known pixels.
    """

    def __init__(self, frame: Image, painted: Image, mask: Mask) -> None:
        self.frame, self.painted = frame, painted
        self.known = without_margin(mask, SIGMAS[-1]).astype(np.float32)
        *bands, _ = split(painted.astype(np.float32))
        area = np.maximum(blur(self.known, WINDOW), 1e-6)
        self.energies = [local_energy(band * self.known[..., None], WINDOW) / area for band in bands]


@dataclass(frozen=True, eq=False)
class _View:
    """A keyframe as seen from a frame: RGB, the energy of its bands, and the error of the flow in grey levels."""

    painted: Image
    energies: list[NDArray[np.float32]]
    error: NDArray[np.float32]


def nearest(indices: dict[str, int], keyframes: Sequence[str], stem: str) -> list[str]:
    """Names of the keyframes before and after a frame, of which one may be missing, or the frame's own alone."""
    if stem in keyframes:
        return [stem]
    before = [key for key in keyframes if indices[key] < indices[stem]]
    after = [key for key in keyframes if indices[key] > indices[stem]]
    return [*before[-1:], *after[:1]]


def _select(one: _View, other: _View) -> _View:
    """Choose the view with the smaller error, by regions that are a few pixels wide."""
    chosen = blur((blur(one.error - other.error, 4) < 0).astype(np.float32), 1)
    share = chosen[..., None]
    painted = np.rint(share * one.painted + (1 - share) * other.painted).astype(np.uint8)
    error = chosen * one.error + (1 - chosen) * other.error
    slow = blur(chosen, WINDOW)
    pairs = zip(one.energies, other.energies, strict=True)
    return _View(painted, [slow * first + (1 - slow) * second for first, second in pairs], error)


def _fine(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Grey sum (H, W) of the fine bands of an image (H, W, 3)."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    *_, rest = split(grey)
    return grey - rest


def _difference(one: Image, other: Image) -> NDArray[np.float32]:
    """Mean absolute difference (H, W) of the channels, in grey levels."""
    return channel_mean(cv2.absdiff(one, other).astype(np.float32))


def _ramp(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.float32]:
    """Linear from 0 at ``low`` to 1 at ``high``."""
    return np.clip((values - low) / (high - low), 0, 1)
