"""The street of the demo clip: sky, hills, trees, wall and pavement, in layers with parallax."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.io.types import Size

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BackdropLayer:
    """One layer of the street, periodic in the horizontal direction.

    Attributes:
        image: RGB uint8, one period wide, (H, P, 3).
        solid: 255 where the layer is opaque, (H, P) uint8.
        parallax: Relative speed of panning; 1 for the street itself.
    """

    image: NDArray[np.uint8]
    solid: NDArray[np.uint8]
    parallax: float

    def window(self, shift: float, width: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Image and opaque part of a window ``width`` samples wide, ``shift`` samples from the left.

        The image is interpolated, so that a slow pan is smooth.
        """
        period = self.image.shape[1]
        first = int(np.floor(shift))
        columns = np.arange(first, first + width + 1) % period
        fraction = shift - first
        wide = self.image[:, columns]
        image = cv2.addWeighted(wide[:, :-1], 1 - fraction, wide[:, 1:], fraction, 0)
        nearest = columns[1:] if fraction >= 0.5 else columns[:-1]
        return image, self.solid[:, nearest] > 0


class Backdrop:
    """All layers of the street, from far to near, for a view of ``size`` in samples."""

    def __init__(self, size: Size, seed: int) -> None:
        self.height, self.width = size
        self._rng = np.random.default_rng([seed, 1])
        self._period = 2 * self.width
        self._y, self._x = np.mgrid[0 : self.height, 0 : self._period].astype(np.float64) / self.height
        self.layers = (self._sky(), self._far_hills(), self._trees(), self._street())

    def view(self, pan: float) -> NDArray[np.uint8]:
        """Render the view of a camera ``pan`` samples to the right, (H, W, 3) RGB uint8."""
        view = np.zeros((self.height, self.width, 3), np.uint8)
        for layer in self.layers:
            image, solid = layer.window(pan * layer.parallax, self.width)
            cv2.copyTo(image, solid.astype(np.uint8), view)
        return view

    def _noise(self, across: float, down: float) -> Floats:
        """Periodic smooth noise of unit variance, (H, P); the standard deviations of its blur are in view heights."""
        white = np.fft.rfft2(self._rng.standard_normal((self.height, self._period)))
        rows, columns = np.fft.fftfreq(self.height)[:, None], np.fft.rfftfreq(self._period)[None, :]
        grain = (rows * down * self.height) ** 2 + (columns * across * self.height) ** 2
        smooth = np.fft.irfft2(white * np.exp(-2 * np.pi**2 * grain), s=(self.height, self._period))
        return np.asarray(smooth / smooth.std())

    def _ridge(self, base: float, swell: float) -> Floats:
        """A skyline over one period, (P,), in view heights from the top."""
        angle = 2 * np.pi * np.arange(self._period) / self._period
        waves = [(k, self._rng.uniform(0, 2 * np.pi)) for k in (2, 3, 5, 9, 14)]
        return np.asarray(base + swell * sum(np.sin(k * angle + phase) / k**0.8 for k, phase in waves))

    def _layer(self, colour: Floats, solid: NDArray[np.bool_], parallax: float) -> BackdropLayer:
        return BackdropLayer(np.clip(np.rint(colour), 0, 255).astype(np.uint8), solid.astype(np.uint8) * 255, parallax)

    def _sky(self) -> BackdropLayer:
        height = np.clip(self._y / 0.5, 0, 1)[..., None]
        sky = np.array([96, 152, 205.0]) * (1 - height) + np.array([252, 218, 176.0]) * height
        billow = 0.7 * self._noise(0.12, 0.035) + 0.45 * self._noise(0.035, 0.014)
        cloud = np.clip(billow - 0.15, 0, 1)[..., None] * (1 - 0.5 * height)
        shade = np.clip(np.roll(billow, self.height // 40, axis=0) - billow, 0, 1)[..., None]
        bright = np.array([255, 244, 228.0]) - 38 * shade
        return self._layer(sky + (bright - sky) * cloud, np.ones(self._y.shape, np.bool_), 0.12)

    def _far_hills(self) -> BackdropLayer:
        ridge = self._ridge(0.36, 0.045)
        depth = self._y - ridge
        fields = 7 * self._noise(0.06, 0.012) + 5 * self._noise(0.012, 0.006)
        colour = np.array([112, 138, 168.0]) + np.clip(depth, 0, 0.2)[..., None] * np.array([190, 160, -120.0])
        return self._layer(colour + fields[..., None], depth >= 0, 0.3)

    def _trees(self) -> BackdropLayer:
        ridge = self._ridge(0.47, 0.02)
        grass = np.array([118, 142, 72.0]) + (10 * self._noise(0.004, 0.01) + 9 * self._noise(0.05, 0.02))[..., None]
        crowns = np.zeros(self._y.shape, np.uint8)
        trunks = np.zeros_like(crowns)
        spacing = 0.34 * self.height
        for index in np.arange(round(self._period / spacing)):
            x = (index + self._rng.uniform(0.2, 0.8)) * spacing
            foot = ridge[int(x) % self._period] * self.height
            tall = self._rng.uniform(0.13, 0.22) * self.height
            puffs = np.clip(self._rng.normal(0, 1, (9, 2)), -1.2, 1.2) * [0.2 * tall, 0.22 * tall] + [x, foot - tall]
            for offset in (-self._period, 0, self._period):  # periodic: trees at one side continue at the other
                root, top = (round(x + offset), round(foot + 0.1 * tall)), (round(x + offset), round(foot - tall))
                cv2.line(trunks, root, top, 255, max(1, round(0.012 * self.height)))
                for puff, radius in zip(puffs, self._rng.uniform(0.2, 0.34, 9) * tall, strict=True):
                    cv2.circle(crowns, (round(puff[0] + offset), round(puff[1])), round(radius), 255, -1)
        leaves = 0.6 * self._noise(0.008, 0.008) + 0.6 * self._noise(0.02, 0.018)
        rim = cv2.GaussianBlur(crowns, (0, 0), 0.025 * self.height).astype(np.float64) / 255
        light = (leaves + 1.6 * (np.roll(rim, (self.height // 30, self.height // 30), (0, 1)) - rim))[..., None]
        colour = np.where(trunks[..., None] > 0, np.array([92, 66, 48.0]), grass)
        green = np.array([74, 104, 58.0]) - np.clip(light, -1.5, 1.5) * np.array([26, 26, 12.0])
        colour = np.where(crowns[..., None] > 0, green, colour)
        return self._layer(colour, (self._y >= ridge) | (crowns > 0) | (trunks > 0), 0.6)

    def _street(self) -> BackdropLayer:
        wall_top, kerb = 0.53, 0.8
        weather = (7 * self._noise(0.1, 0.08) + 5 * self._noise(0.003, 0.003))[..., None]
        brick, joint = self._stones((self._y - wall_top) / 0.045, 0.095)
        wall = np.array([188, 122, 92.0]) + brick[..., None] * np.array([20, 17, 15.0])
        wall = np.where(joint[..., None], np.array([212, 190, 166.0]), wall)
        wall *= 1 - 0.35 * np.clip((self._y - kerb + 0.06) / 0.06, 0, 1)[..., None]
        coping = np.array([222, 206, 184.0]) - 55 * (self._y > wall_top + 0.028)[..., None]
        # Rows of paving grow towards the viewer: row r begins r^1.4 / 22 view heights below the kerb.
        row = (22 * np.clip(self._y - kerb, 0, None)) ** (1 / 1.4)
        flag, gap = self._stones(row * 1.6, 0.16)
        paving = np.array([150, 142, 152.0]) + flag[..., None] * np.array([11, 10, 9.0])
        paving = np.where(gap[..., None], np.array([104, 96, 108.0]), paving)
        colour = np.where((self._y < wall_top + 0.035)[..., None], coping, wall)
        colour = np.where((self._y >= kerb)[..., None], paving, colour)
        return self._layer(colour + weather, self._y >= wall_top, 1.0)

    def _stones(self, rows: Floats, width: float) -> tuple[Floats, NDArray[np.bool_]]:
        """Random tints of stones of a width in view heights, (H, P), and the mask of joints, by each sample's row."""
        count = round(self._period / self.height / width)
        course = np.floor(rows).astype(int)
        columns = self._x * self.height / self._period * count + 0.5 * (course % 2)
        stone = np.floor(columns).astype(int) % count
        tints = self._rng.standard_normal((64, count))
        return tints[course % 64, stone], (rows - course < 0.16) | (columns % 1 < 0.07)
