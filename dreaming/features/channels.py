"""The channels of the evidence: what is known of each pixel of a frame, each scaled to about -1..1."""

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.features.background_difference import DIFFERENCES, Differences
from dreaming.features.propagated_masks import PropagatedMask
from dreaming.flow.camera_motion import leftover_motion
from dreaming.io.types import Flow, Image, Mask, Probability

FeatureMaps = NDArray[np.float32]
"""Evidence of one frame, (E, h, w)."""

BLEND_SIGMAS = (2, 5, 10, 20)
LAB_SIGMAS = (2, 4, 8)
RATIO_SIGMAS = (2, 5)
DEVIATION_SIGMAS = (2, 5)

SIDES = ("mask", "error", "visible", "gap")
CHANNELS: tuple[str, ...] = (
    *(f"near_{name}" for name in SIDES),
    *(f"far_{name}" for name in SIDES),
    "even_blend",
    "blend",
    *(f"blend_blurred_{sigma}" for sigma in BLEND_SIGMAS),
    "distance",
    "log_ratio",
    *(f"log_ratio_blurred_{sigma}" for sigma in RATIO_SIGMAS),
    "palette_ratio",
    *(f"palette_ratio_blurred_{sigma}" for sigma in RATIO_SIGMAS),
    "motion_x",
    "motion_y",
    "motion",
    "relative_x",
    "relative_y",
    "x",
    "y",
    "lightness",
    "a",
    "b",
    *(f"{name}_blurred_{sigma}" for sigma in LAB_SIGMAS for name in ("lightness", "a", "b")),
    "gradient",
    *(f"deviation_{sigma}" for sigma in DEVIATION_SIGMAS),
    *DIFFERENCES,
)
"""Names of the channels, in order; lengths are in working pixels.

Of the nearer and the farther mask: the mask carried here (0..1), photometric error (/ 50), visibility (0..1), frames in
between (g / (g + 10)). Both blended by time alone, and by time and error; the latter blurred; signed distance to its
outline (inside positive, clipped and divided by ``reach``). How much likelier the colour is the subject's (natural log
/ 5), going by the two masks, and by all; blurred. Motion left over without the camera's (pixels / 5), blurred. Place
relative to the blend's centre (in square roots of its area, / 3), and in the frame (0..1). Lab (8-bit / 255), blurred.
Gradient of lightness (/ 100), its local standard deviation (/ 50). Differences to other frames, the camera's motion
taken out (``data.background_difference``).
"""


@dataclass(frozen=True, eq=False)
class AppearanceFeatures:
    """What a frame shows by itself, whatever is carried to it.

    Attributes:
        lab: (h, w, 3) 8-bit.
        appearance: The channels from ``lightness`` to those of the background, (A, h, w).
        background: Those of the background, (len(DIFFERENCES), h, w).
        motion: (h, w, 2), flow to a neighbour in working pixels.
    """

    lab: Image
    appearance: FeatureMaps
    background: Differences
    motion: Flow

    @classmethod
    def at(cls, lab: Image, motion: Flow, background: Differences) -> "AppearanceFeatures":
        """The look of a frame from its Lab colours, its flow, and its differences to other frames."""
        values = lab.astype(np.float32)
        light = values[..., 0]
        planes = [*np.moveaxis(values, 2, 0)]
        for sigma in LAB_SIGMAS:
            planes += [*np.moveaxis(blurred(values, sigma), 2, 0)]
        slope = cv2.magnitude(cv2.Sobel(light, cv2.CV_32F, 1, 0), cv2.Sobel(light, cv2.CV_32F, 0, 1))
        planes = [plane / np.float32(255) for plane in planes] + [slope / np.float32(100)]
        for sigma in DEVIATION_SIGMAS:
            variance = blurred(light * light, sigma) - blurred(light, sigma) ** 2
            planes.append(np.sqrt(np.maximum(variance, 0)) / np.float32(50))
        return cls(lab, np.stack(planes), background, motion)


@dataclass(frozen=True)
class Blend:
    """How the masks of both sides are blended: by w = seen exp(-error / scale) / gap.

    Attributes:
        error_scale: Photometric error that lowers a side's weight to 1/e.
        hidden: Share of its weight that a side keeps where it was hidden on the way.
    """

    kind: ClassVar[str] = "blend"

    error_scale: float = 10.0
    occlusion_weight: float = 0.3

    def weight(self, side: PropagatedMask) -> NDArray[np.float32]:
        """The weight (h, w) of a side."""
        seen = self.occlusion_weight + (1 - self.occlusion_weight) * side.visible
        return seen * np.exp(side.error * np.float32(-1 / self.error_scale)) / np.float32(max(side.gap, 0.1))

    def __call__(self, near: PropagatedMask, far: PropagatedMask) -> Probability:
        """The blended mask (h, w) in 0..1."""
        one, other = self.weight(near), self.weight(far)
        return (one * near.mask + other * far.mask) / np.maximum(one + other, 1e-12)


def stack(
    look: AppearanceFeatures,
    sides: tuple[PropagatedMask, PropagatedMask],
    ratios: tuple[NDArray[np.float32], ...],
    blend: Blend,
    reach: float,
) -> FeatureMaps:
    """All channels of a frame, (E, h, w) in the order of ``CHANNELS``.

    Args:
        look: The frame.
        sides: What is carried to it; the same one twice where there is only one.
        ratios: How much likelier its colours are the subject's (h, w), by the two masks and by all.
        blend: How the sides are blended.
        reach: Where distances from the outline are clipped, in working pixels.
    """
    near, far = sorted(sides, key=lambda side: side.gap)
    blended = blend(near, far)
    share = np.float32(max(far.gap, 0.1) / (max(near.gap, 0.1) + max(far.gap, 0.1)))
    planes = [
        *_of_side(near),
        *_of_side(far),
        share * near.mask + (1 - share) * far.mask,
        blended,
        *(blurred(blended, sigma) for sigma in BLEND_SIGMAS),
        signed_distance(blended > 0.5, reach),
        *(plane for ratio in ratios for plane in _of_ratio(ratio / np.float32(5))),
        *_motion(look.motion, blended < 0.3),
        *_places(blended),
        *look.appearance,
        *look.background,
    ]
    assert len(planes) == len(CHANNELS)
    return np.stack(planes).astype(np.float32, copy=False)


def blurred(values: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """A map (h, w) or (h, w, C), Gaussian-blurred; wide blurs at a fraction of the size, which shows nowhere."""
    factor = int(sigma // 4)
    if factor < 2 or min(values.shape[:2]) < 8 * factor:
        return cv2.GaussianBlur(values, (0, 0), sigma)
    height, width = values.shape[:2]
    small = cv2.resize(values, (-(-width // factor), -(-height // factor)), interpolation=cv2.INTER_AREA)
    return cv2.resize(cv2.GaussianBlur(small, (0, 0), sigma / factor), (width, height), interpolation=cv2.INTER_LINEAR)


def signed_distance(mask: Mask, reach: float) -> NDArray[np.float32]:
    """Distance to a mask's outline (h, w) in units of ``reach``, inside positive, clipped to -1..1."""
    inside = mask.astype(np.uint8)
    if not mask.any() or mask.all():
        return np.full(mask.shape, 1.0 if mask.any() else -1.0, np.float32)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 5) - cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    return np.clip(distance / reach, -1, 1).astype(np.float32)


def _of_side(side: PropagatedMask) -> list[NDArray[np.float32]]:
    gap = np.full(side.mask.shape, side.gap / (side.gap + 10), np.float32)
    return [side.mask, side.error / np.float32(50), side.visible, gap]


def _of_ratio(ratio: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    return [ratio, *(blurred(ratio, sigma) for sigma in RATIO_SIGMAS)]


def _motion(flow: Flow, backdrop: Mask) -> list[NDArray[np.float32]]:
    left = blurred(leftover_motion(flow, backdrop), 2) / np.float32(5)
    return [left[..., 0], left[..., 1], cv2.magnitude(left[..., 0], left[..., 1])]


def _places(blended: Probability) -> list[NDArray[np.float32]]:
    height, width = blended.shape
    y, x = (axis.astype(np.float32) for axis in np.mgrid[:height, :width])
    area = max(float(blended.sum()), 1.0)
    centre_x, centre_y = (float((blended * place).sum()) / area for place in (x, y))
    unit = 3 * area**0.5
    return [(x - centre_x) / unit, (y - centre_y) / unit, x / width, y / height]
