"""Transfer of brush strokes from the keyframes to frames that the style network has painted."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.artifacts.fingerprint import NO_EFFECT
from dreaming.clip.clip import Clip
from dreaming.clip.config import Layer
from dreaming.constraints import PositiveFloat, Range, Workers
from dreaming.flow.dis import DisFlow
from dreaming.flow.warp import coordinates, resize_flow, squared_length, warp
from dreaming.io.prefetch import prefetch_map
from dreaming.io.types import Image
from dreaming.strokes.bands import (
    MIN_ENERGY,
    SIGMAS,
    blur,
    channel_mean,
    laplacian,
    local_correlation,
    local_energy,
    mean_amplitude,
    split,
    tint,
    weighted_mean,
)
from dreaming.strokes.keyframe import WINDOW, Keyframe, nearest
from dreaming.strokes.painter import Painter

UNKNOWN = 100.0
"""Error, in grey levels, where a keyframe shows nothing: outside of it, or where it is not painted."""

RETURN_ERROR = 4.0
"""Error, in grey levels per pixel, of a flow that does not lead back; for at most ``MAX_RETURN`` pixels."""

MAX_RETURN = 5.0

STEP_ERROR = 0.15
"""Error, in grey levels, of each frame between a frame and its keyframe, which breaks ties between keyframes."""

CORRELATION = (0.6, 0.95)
"""Correlation with the network's strokes above which a keyframe's strokes are mixed in, and replace them."""

MAX_GAIN_WITHOUT_GRAIN = 3.0
"""Largest amplification of a band where the keyframes have no grain to add."""

MAX_LAST_GAIN = 1.25
"""Largest amplification of the finest band, for a frame that grain does not make crisp."""

MIN_CRISPNESS = 0.87
"""Share of the painter's crispness to which a frame far from keyframes is amplified."""

HALF_LIFE = 1.5
"""Steps from a keyframe after which half of the rest of its crispness is lost, so that it does not jump."""

BISECTIONS = 7
"""Steps of the search for a share."""

MAX_GRAIN_LEVEL = 32.0
"""Largest grain, in grey levels, where it is as strong as around."""


@dataclass(frozen=True)
class StrokeTransfer:
    """Give the network's frames the brush strokes of the nearest keyframes.

    A network that is trained for likeness blurs what it cannot foresee: its colours and shapes are right, its fine
    bands (``bands.split``) are faint. Four steps restore them.

    1. One direct optical flow per keyframe finds where the keyframes before and after a frame show each of its pixels.
       At each pixel the one with the smaller error is chosen, because a mean would blur strokes. Its fine bands replace
       the network's where the flow is reliable and both correlate.
    2. Each band is amplified, a little, towards the local energy that the painter would have given it: the quantiles of
       the frame's local energies are mapped to those of the keyframes, interpolated over time. The network knows well
       where strokes are strong, but not how strong. Frames that are blurred by motion get less, as far as energies of
       the painting depend on those of the source within the keyframes.
    3. What energy the finest band still lacks is added as the keyframes' grain, at the position where it is painted, in
       the tint of the network's strokes. It changes from one keyframe to the next without a jump, at constant energy.
    4. A frame that is less crisp than it would be by its energies, as sampling softens thin lines, gets its finest band
       amplified. More is asked near a keyframe, whose own frame is as crisp as painted: crispness must not jump.

    A shot without a keyframe only gets step 2, from the nearest keyframe of another shot: energies have no position.
    They amplify bands more, as wherever there is no grain to add.

    What is coarser stays the network's, so a wrong flow brings no wrong colours. A frame depends on the keyframes and
    on no other frame. The local energy of bands is matched similarly to Shih et al., "Style Transfer for Headshot
    Portraits", SIGGRAPH 2014.

    Attributes:
        flow: Optical flow method, for frames that may be far apart.
        tolerance: Error of the flow, in grey levels, at which a keyframe's weight falls to 1/e.
        max_gain: Largest amplification of a band. The network's faint strokes are uncertain, and so are amplified ones.
        grain: Share of the painter's crispness and mean amplitude of fine strokes up to which grain is added; 0: none.
        workers: Frames computed at once.
    """

    kind: ClassVar[str] = "stroke_transfer"

    flow: DisFlow
    tolerance: PositiveFloat = 4.6
    max_gain: Annotated[float, Range(ge=1, le=10)] = 1.15
    grain: Annotated[float, Range(ge=0, le=2)] = 0.92
    workers: Workers = field(default=2, metadata=NO_EFFECT)

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
            steps = {key: abs(indices[key] - indices[stem]) for key in nearest(clip.shots, keyframe_stems, stem)}
            visible = all(clip.shots.joined(key, stem) for key in steps)
            near = [(keyframe(key), distance) for key, distance in steps.items()]
            return stem, self.transfer(clip.frames.read(stem), image, near, visible=visible)

        yield from prefetch_map(transfer, stylised, self.workers)

    def transfer(
        self, frame: Image, stylised: Image, keyframes: Sequence[tuple[Keyframe, int]], *, visible: bool = True
    ) -> Image:
        """Return a stylised frame (H, W, 3) with the strokes of keyframes.

        Args:
            frame: The source frame, (H, W, 3) RGB.
            stylised: The network's image of it.
            keyframes: One or two keyframes, each with its distance from the frame in steps.
            visible: Whether they show the same shot; otherwise only the strength of their strokes is used.
        """
        image = stylised.astype(np.float32)
        coarse = cv2.GaussianBlur(stylised, (0, 0), 3)
        grey, smooth = self.flow.prepare(frame), cv2.GaussianBlur(frame, (0, 0), 1)
        views = [
            self._view(grey, smooth, coarse, keyframe, steps)
            if visible
            else _View(stylised, np.ones(frame.shape[:2], np.bool_), np.full(frame.shape[:2], UNKNOWN, np.float32))
            for keyframe, steps in keyframes
        ]
        view = views[0] if len(views) == 1 else _select(*views)
        painted = view.painted.astype(np.float32)
        share = np.exp(-np.square(view.error / self.tolerance))
        painter = None
        if any(steps for _, steps in keyframes):  # a keyframe's own frame gets its strokes as they are
            share *= _ramp(local_correlation(_fine(image), _fine(painted), 5.0), *CORRELATION)
            painter = Painter.near(keyframes, same_shot=visible)
        *bands, rest = split(image)
        parts = zip(bands, split(painted), split(frame.astype(np.float32)), strict=False)
        mixed, energies = list[NDArray[np.float32]](), list[NDArray[np.float32]]()
        for index, (band, stroke, source) in enumerate(parts):
            mixed.append(band + share[..., None] * (stroke - band))
            if painter is not None:
                energy = painter.energy(index, local_energy(band, WINDOW), local_energy(source, WINDOW), view.known)
                mixed[-1] = self._amplified(mixed[-1], energy, painter)
                energies.append(energy)
        finest, *coarser = mixed
        result = sum(coarser, start=rest)
        result += finest if painter is None else self._crisp(finest, result, energies[0], painter)
        return np.clip(np.rint(result), 0, 255).astype(np.uint8)

    def _amplified(
        self, band: NDArray[np.float32], energy: NDArray[np.float32], painter: Painter
    ) -> NDArray[np.float32]:
        """Amplify a band (H, W, 3) towards a local energy (H, W)."""
        max_gain = MAX_GAIN_WITHOUT_GRAIN + (self.max_gain - MAX_GAIN_WITHOUT_GRAIN) * painter.known
        gain = np.sqrt((energy + MIN_ENERGY) / (local_energy(band, WINDOW) + MIN_ENERGY))
        return band * np.clip(gain, 1, max_gain)[..., None]

    def _crisp(
        self, band: NDArray[np.float32], rest: NDArray[np.float32], energy: NDArray[np.float32], painter: Painter
    ) -> NDArray[np.float32]:
        """Finest band with grain, then amplified, so that it and the rest are as crisp as asked.

        Args:
            band: The finest band, (H, W, 3).
            rest: Sum of the other bands and what remains, (H, W, 3).
            energy: Local energy (H, W) that the painter would have given the finest band.
            painter: The keyframes.
        """
        asked = painter.sharpness * mean_amplitude(energy, painter.known)
        grain = self._grain(band, energy, painter)[..., None] * tint(band, WINDOW)
        band = band + _share_of(grain, 1.0, band + rest, self.grain * asked, painter.known) * grain
        asked *= MIN_CRISPNESS + (1 - MIN_CRISPNESS) * 0.5 ** (painter.steps / HALF_LIFE)
        added = _share_of(band, MAX_LAST_GAIN - 1, band + rest, asked, painter.known)
        return band * (1 + added * painter.known)[..., None]

    def _grain(self, band: NDArray[np.float32], energy: NDArray[np.float32], painter: Painter) -> NDArray[np.float32]:
        """Grain (H, W) that brings the mean amplitude of a band (H, W, 3) to a share of what the energy asks for."""
        own = local_energy(band, WINDOW)
        gain = np.sqrt(np.maximum(energy - own, 0) / painter.grain_energy)
        grain = painter.grain * np.minimum(gain, MAX_GRAIN_LEVEL)
        # The finest band of a sum with the grain is that of the grain, which has been split once already.
        seen = grain - blur(grain, SIGMAS[0])
        asked, present, reached = (
            mean_amplitude(e, painter.known) ** 2 for e in (energy, own, local_energy(band + seen[..., None], WINDOW))
        )
        share = (self.grain**2 * asked - present) / max(reached - present, MIN_ENERGY)
        return grain * np.float32(np.sqrt(min(max(share, 0.0), 1.0)))

    def _view(self, grey: NDArray[np.uint8], smooth: Image, coarse: Image, keyframe: Keyframe, steps: int) -> "_View":
        """Show a keyframe as seen from a frame; ``coarse`` is the network's image of it without strokes."""
        size = smooth.shape[:2]
        other = self.flow.prepare(keyframe.frame)
        flow, back = np.zeros((2, *size, 2), np.float32)
        if steps:
            flow, back = (resize_flow(self.flow.between(*pair), size) for pair in ((grey, other), (other, grey)))
        # OpenCV reflects a single row or column without end.
        border = cv2.BORDER_REFLECT_101 if min(size) > 1 else cv2.BORDER_REPLICATE
        painted = cv2.remap(keyframe.painted, coordinates(flow), None, cv2.INTER_CUBIC, borderMode=border)
        error = _difference(smooth, cv2.GaussianBlur(warp(keyframe.frame, flow), (0, 0), 1))
        error += _difference(coarse, cv2.GaussianBlur(painted, (0, 0), 3))
        error += RETURN_ERROR * np.minimum(np.sqrt(squared_length(flow + warp(back, flow))), MAX_RETURN)
        known = warp(keyframe.known, flow, border=cv2.BORDER_CONSTANT)
        error += UNKNOWN * (1 - known)
        return _View(painted, known > 0.5, blur(error, 3) + np.float32(STEP_ERROR * steps))


@dataclass(frozen=True, eq=False)
class _View:
    """A keyframe as seen from a frame: RGB, where it is painted, and the error of the flow in grey levels."""

    painted: Image
    known: NDArray[np.bool_]
    error: NDArray[np.float32]


def _select(one: _View, other: _View) -> _View:
    """Choose the view with the smaller error, by regions that are a few pixels wide."""
    chosen = blur((blur(one.error - other.error, 4) < 0).astype(np.float32), 1)
    share = chosen[..., None]
    painted = np.rint(share * one.painted + (1 - share) * other.painted).astype(np.uint8)
    return _View(painted, one.known | other.known, chosen * one.error + (1 - chosen) * other.error)


def _share_of(
    added: NDArray[np.float32], limit: float, image: NDArray[np.float32], asked: float, weights: NDArray[np.float32]
) -> np.float32:
    """Share in 0..``limit`` of an image (H, W, 3) that makes another, to which it is added, as crisp as asked."""
    parts = (laplacian(image), laplacian(added))
    low, high = 0.0, limit
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if weighted_mean(np.abs(parts[0] + np.float32(middle) * parts[1]), weights) < asked:
            low = middle
        else:
            high = middle
    return np.float32(high if high == limit else low)


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
