"""A furry animal with a known alpha matte, as the subject of a demo clip."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.constraints import PositiveFloat
from dreaming.demo.figure import Floats
from dreaming.demo.scene import DemoScene
from dreaming.io.types import Image, Mask, Probability

SHIFT = 4
"""Fractional bits of the coordinates that OpenCV draws."""

SIZE = 0.75
"""Unit of the limbs, as a share of the frame's height."""

POINTS = np.linspace(0, 1, 7)
"""Positions of the points of a strand, from its root to its tip."""


@dataclass(frozen=True)
class _Limb:
    """A rounded limb with fur, in units of the animal's size, relative to its middle.

    Attributes:
        start: (x, y) of one end, y down.
        end: (x, y) of the other end.
        radii: Half its thickness at the ends.
        fur: Length of its strands.
        strands: Number of its strands.
        step: Part of the stride by which it swings: 0 for none, 1 and -1 for opposite legs.
        shade: Brightness of the fur.
    """

    start: tuple[float, float]
    end: tuple[float, float]
    radii: tuple[float, float]
    fur: float
    strands: int
    step: float = 0.0
    shade: float = 1.0


LIMBS = (
    _Limb((-0.2, 0.05), (-0.21, 0.36), (0.06, 0.03), 0.03, 400, -1.0, 0.7),
    _Limb((0.18, 0.05), (0.19, 0.36), (0.05, 0.03), 0.03, 400, 1.0, 0.7),
    _Limb((-0.3, -0.06), (-0.52, -0.22), (0.035, 0.045), 0.13, 1200, 0.3, 1.0),
    _Limb((-0.2, 0.0), (0.2, -0.03), (0.14, 0.13), 0.08, 3600),
    _Limb((-0.24, 0.08), (-0.25, 0.38), (0.06, 0.03), 0.03, 500, 1.0, 0.9),
    _Limb((0.2, 0.07), (0.22, 0.38), (0.05, 0.03), 0.03, 500, -1.0, 0.9),
    _Limb((0.27, -0.25), (0.25, -0.35), (0.035, 0.012), 0.04, 300, 0.1, 0.8),
    _Limb((0.37, -0.25), (0.4, -0.35), (0.035, 0.012), 0.04, 300, 0.1, 0.8),
    _Limb((0.3, -0.13), (0.34, -0.17), (0.1, 0.095), 0.075, 1800, 0.1),
    _Limb((0.36, -0.13), (0.43, -0.12), (0.05, 0.03), 0.02, 400, 0.1, 1.15),
)
"""The animal from the side, back to front, heading right."""


@dataclass(frozen=True)
class FurryScene(DemoScene):
    """A furry animal that walks along the street of the demo clip; its alpha matte is known.

    Strands are thinner than a pixel and sway, so that thresholding the matte loses them.

    Attributes:
        fur: Length of the fur, relative to that of a long-haired animal.
    """

    kind: ClassVar[str] = "furry_scene"

    fur: PositiveFloat = 1.0

    def frame(self, index: int) -> tuple[Image, Mask]:
        """Draw a frame, and the mask of the pixels of which the animal covers at least half."""
        backdrop = self._backdrop.view(0.16 * index / self.fps * min(self.height, 0.8 * self.width) * self.samples)
        view = cv2.resize(backdrop, (self.width, self.height), interpolation=cv2.INTER_AREA).astype(np.float32)
        colours, matte = self.animal(index)
        grain = np.random.default_rng([self.seed, 2, index]).normal(0, self.noise, view.shape)
        image = colours * matte[..., None] + view * (1 - matte[..., None]) + grain
        return np.clip(np.rint(image), 0, 255).astype(np.uint8), matte >= 0.5

    def matte(self, index: int) -> Probability:
        """The animal's alpha matte in a frame, (H, W) in 0..1."""
        return self.animal(index)[1]

    def animal(self, index: int) -> tuple[NDArray[np.float32], Probability]:
        """Draw the animal alone: colours (H, W, 3) in 0..255, not premultiplied, and alpha matte (H, W) in 0..1.

        Args:
            index: Index of the frame, from 0.
        """
        time, unit = index / self.fps, SIZE * min(self.height, 0.8 * self.width)
        canvas = np.zeros((self.height * self.samples, self.width * self.samples, 4), np.uint8)
        tall, wide = self.height / unit, self.width / unit
        middle = np.array([wide * (0.5 - 0.14 * np.cos(0.9 * np.pi * time)), 0.56 * tall])
        middle[1] += 0.012 * np.sin(4 * np.pi * time)
        scale = unit * self.samples
        for limb, look in zip(LIMBS, self._looks, strict=True):
            swing = 0.05 * limb.step * np.sin(2 * np.pi * time + limb.start[0])
            ends = middle + np.array([limb.start, limb.end])
            ends[:, 0] += np.array([(abs(limb.step) < 0.5) * swing, swing])
            _draw_limb(canvas, replace(limb, fur=limb.fur * self.fur), ends * scale, scale, look, time)
        head = middle + np.array([0.36, -0.17])
        for spot, radius in ((head, 0.016), (head + np.array([0.115, 0.035]), 0.02)):
            centre = np.rint(spot * scale * 2**SHIFT).astype(int).tolist()
            size = round(radius * scale * 2**SHIFT)
            cv2.circle(canvas, centre, size, (30, 24, 22, 255), cv2.FILLED, cv2.LINE_AA, SHIFT)
        small = cv2.resize(canvas.astype(np.float32), (self.width, self.height), interpolation=cv2.INTER_AREA)
        matte = small[..., 3] / np.float32(255)
        return small[..., :3] / np.maximum(matte, 1e-6)[..., None], np.minimum(matte, 1)

    @cached_property
    def _looks(self) -> list[Floats]:
        """Random numbers 0..1 of each strand of each limb, (N, 8): position, length, bend, colour and phase."""
        rng = np.random.default_rng([self.seed, 5])
        return [rng.random((limb.strands, 8)) for limb in LIMBS]


def _draw_limb(canvas: NDArray[np.uint8], limb: _Limb, ends: Floats, scale: float, look: Floats, time: float) -> None:
    """Draw a limb between two points (2, 2) in samples on a premultiplied RGBA canvas, with its fur."""
    axis = ends[1] - ends[0]
    steps = np.linspace(0, 1, 12)[:, None]
    colour = np.array([120, 84, 52.0]) * limb.shade
    for centre, radius in zip(ends[0] + steps * axis, np.interp(steps[:, 0], [0, 1], limb.radii), strict=True):
        point = np.rint(centre * 2**SHIFT).astype(int).tolist()
        cv2.circle(canvas, point, round(radius * scale * 2**SHIFT), (*colour, 255), cv2.FILLED, cv2.LINE_AA, SHIFT)
    along, turn = look[:, 0:1] * 1.2 - 0.1, 2 * np.pi * look[:, 1:2]
    outward = np.hstack([np.cos(turn), np.sin(turn)])
    depth = 0.35 + 0.65 * np.sqrt(look[:, 2:3])
    radius = np.interp(along, [0, 1], limb.radii) * scale
    roots = ends[0] + np.clip(along, 0, 1) * axis + depth * radius * outward
    sway = 0.5 * np.sin(2 * np.pi * (1.1 * time + look[:, 3:4]) + roots[:, :1] / (0.15 * scale))
    combed = np.array([-0.7, 0.5]) + 0.35 * sway * np.array([[1.0, 0.3]])
    direction = outward * depth + combed * (0.5 + look[:, 4:5]) + 0.5 * (look[:, 5:7] - 0.5)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    length = limb.fur * scale * (0.5 + look[:, 7:8])
    bend = np.array([[-0.25, 0.6]]) + 0.4 * sway * np.array([[0.6, 1.0]])
    t = POINTS[None, :, None]
    strands = roots[:, None] + length[:, None] * (direction[:, None] * t + bend[:, None] * 0.5 * t**2)
    points = np.rint(strands * 2**SHIFT).astype(np.int32)
    shades = (0.55 + 0.9 * look[:, 6:7]) * limb.shade * np.array([[150, 108, 70]]) + 40 * (look[:, 3:4] > 0.85)
    thickness = max(1, round(0.0016 * scale))
    for strand in np.argsort(-depth[:, 0], kind="stable"):
        line = (*np.minimum(shades[strand], 255).tolist(), 255)
        root, tip = points[strand, : len(POINTS) // 2 + 1], points[strand, len(POINTS) // 2 :]
        cv2.polylines(canvas, [root], False, line, thickness, cv2.LINE_AA, SHIFT)
        cv2.polylines(canvas, [tip], False, line, max(1, thickness // 2), cv2.LINE_AA, SHIFT)
