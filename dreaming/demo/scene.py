"""The scene of the demo clip: a dancer on a street, with ground-truth masks and music."""

import colorsys
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.constraints import NonNegativeFloat, PositiveInt, Range, Seed
from dreaming.demo.backdrop import Backdrop
from dreaming.demo.figure import DrawingCanvas, Floats, Wardrobe, checks, draw_person, plain, stripes
from dreaming.io.types import Image, Mask

SAMPLE_RATE = 44_100
TEMPO = 2.0  # beats per second; the dancer steps on each


@dataclass(frozen=True)
class DemoScene:
    """A dancer who crosses a panning street back and forth, and a passer-by in similar colours behind her.

    A frame depends only on the scene's parameters and the frame's index.

    Attributes:
        frames: Number of frames.
        height: Height in pixels.
        width: Width in pixels.
        fps: Frames per second; the motion depends on time.
        samples: Samples along each side of a pixel, for smooth edges and masks.
        noise: Standard deviation of the sensor noise, in grey levels.
    """

    kind: ClassVar[str] = "demo_scene"

    frames: PositiveInt = 48
    height: Annotated[int, Range(ge=32, le=4096)] = 144
    width: Annotated[int, Range(ge=32, le=4096)] = 256
    fps: PositiveInt = 24
    seed: Seed = 7
    samples: PositiveInt = 4
    noise: NonNegativeFloat = 1.5

    def frame(self, index: int) -> tuple[Image, Mask]:
        """Draw a frame, and the mask of the pixels of which the dancer covers at least half.

        Args:
            index: Index of the frame, from 0.
        """
        assert 0 <= index < self.frames
        time = index / self.fps
        unit = min(self.height, 0.8 * self.width)  # pixels; the dancer is smaller in a narrow frame
        tall, wide = self.height / unit, self.width / unit
        view = self._backdrop.view(0.16 * time * unit * self.samples)

        behind = DrawingCanvas(view, unit * self.samples)
        walk = (time / 3 + 0.12) % 1  # one crossing takes 3 s
        position = np.array([wide + 0.2 - walk * (wide + 0.4), 0.87 * tall])
        behind.shadow(position, (0.13, 0.018), 0.45)
        draw_person(behind, position, 0.6, 2.1 * np.pi * time + 1, -1.0, 0.0, self._wardrobes[1])

        front = DrawingCanvas(view, unit * self.samples)
        phase = np.pi * time / 2  # from one end of her path to the other in 2 s
        position = np.array([wide * (0.5 - 0.19 * np.cos(phase)), 0.945 * tall])
        front.shadow(position, (0.17, 0.022), 0.5)
        beat = np.pi * TEMPO * time
        draw_person(front, position, 0.7, beat, float(np.tanh(2 * np.sin(phase))), 1.0, self._wardrobes[0])

        resized = cv2.resize(view, (self.width, self.height), interpolation=cv2.INTER_AREA).astype(np.float64)
        grain = np.random.default_rng([self.seed, 2, index]).normal(0, self.noise, resized.shape)
        blocks = front.covered.reshape(self.height, self.samples, self.width, self.samples)
        image = np.clip(np.rint(resized + grain), 0, 255).astype(np.uint8)
        return image, blocks.mean(axis=(1, 3)) >= 0.5

    def sound(self) -> tuple[NDArray[np.int16], int]:
        """Generate music of the clip's duration: stereo samples (S, 2) and their rate in Hz."""
        count = round(self.frames * SAMPLE_RATE / self.fps)
        rng = np.random.default_rng([self.seed, 3])
        mix = np.zeros((count, 2))
        degrees = np.array([0, 2, 4, 7, 9, 12, 14, 16])  # major pentatonic, in semitones
        step, degree = SAMPLE_RATE / TEMPO / 2, 3
        for number in range(int(np.ceil(count / step))):
            start = round(number * step)
            degree = int(np.clip(degree + rng.integers(-2, 3), 0, len(degrees) - 1))
            pan = 0.5 + 0.25 * np.sin(number)
            _add(mix, start, _pluck(293.7 * 2 ** (degrees[degree] / 12), 0.6), 0.3 * np.array([1 - pan, pan]))
            if number % 2 == 0:
                bass = (73.4, 73.4, 98.0, 110.0)[number // 4 % 4]
                _add(mix, start, _pluck(bass, 0.8), np.array([0.25, 0.25]))
                _add(mix, start, _drum(), np.array([0.4, 0.4]))
            else:
                _add(mix, start, rng.normal(0, 1, 2_500) * np.exp(-np.arange(2_500) / 500), np.array([0.03, 0.04]))
        return np.rint(np.tanh(mix) * 32_000).astype(np.int16), SAMPLE_RATE

    @cached_property
    def _backdrop(self) -> Backdrop:
        return Backdrop((self.height * self.samples, self.width * self.samples), self.seed)

    @cached_property
    def _wardrobes(self) -> tuple[Wardrobe, Wardrobe]:
        """The clothes of the dancer and the passer-by, in similar colours."""
        turn = 0.05 * np.random.default_rng([self.seed, 4]).uniform(-1, 1)
        rose, red, wine = _hue(0.99 + turn, 0.4, 250), _hue(0.99 + turn, 0.78, 212), _hue(0.97 + turn, 0.8, 150)
        navy, cream, teal = _hue(0.62 + turn, 0.62, 96), _hue(0.11, 0.14, 244), _hue(0.5 + turn, 0.5, 118)
        skin, hair, ink = plain(_hue(0.065, 0.36, 242)), plain(_hue(0.05, 0.62, 92)), plain(np.array([58, 34, 40.0]))
        dancer = Wardrobe(
            skin=skin,
            hair=hair,
            face=ink,
            top=stripes(cream, navy, 0.042),
            cloth=checks(rose, red, 0.05),
            legs=plain(teal),
            shoes=plain(red),
            hat=None,
            cloth_length=0.3,
            flare=0.185,
        )
        passer_by = Wardrobe(
            skin=skin,
            hair=hair,
            face=ink,
            top=checks(rose, red, 0.05),
            cloth=checks(red, wine, 0.05),
            legs=stripes(teal, navy, 0.05),
            shoes=plain(navy),
            hat=plain(navy),
            cloth_length=0.36,
            flare=0.11,
        )
        return dancer, passer_by


def _hue(hue: float, saturation: float, value: float) -> Floats:
    """Convert hue (period 1), saturation 0..1 and value 0..255 to RGB in 0..255, (3,)."""
    return np.array(colorsys.hsv_to_rgb(hue % 1, saturation, value))


def _add(mix: Floats, start: int, tone: Floats, gains: Floats) -> None:
    """Add a mono tone to both channels, truncated at the end of the mix."""
    tone = tone[: len(mix) - start]
    mix[start : start + len(tone)] += tone[:, None] * gains


def _pluck(frequency: float, seconds: float) -> Floats:
    """A plucked string: higher overtones decay faster."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    overtones = (np.sin(2 * np.pi * k * frequency * time) * np.exp(-3.5 * k * time) / k for k in (1, 2, 3, 4))
    return np.asarray(sum(overtones) * np.minimum(1, time / 0.004) * np.minimum(1, (seconds - time) / 0.02))


def _drum() -> Floats:
    """A soft bass drum whose pitch falls from 120 to 45 Hz."""
    time = np.arange(SAMPLE_RATE // 5) / SAMPLE_RATE
    phase = 2 * np.pi * (45 * time + 75 * 0.04 * (1 - np.exp(-time / 0.04)))
    return np.asarray(np.sin(phase) * np.exp(-time / 0.06))
