"""The feature channels of a frame, from its pixels and the masks propagated to it, each scaled to about -1..1."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.features.background_difference import BACKGROUND_CHANNELS, BackgroundMaps
from dreaming.features.propagated_masks import PropagatedMask
from dreaming.flow.camera_motion import residual_motion
from dreaming.flow.propagation import propagation_cost, propagation_weight
from dreaming.io.types import Flow, Image, Mask, Probability

FeatureMaps = NDArray[np.float32]
"""Features of one frame, (E, h, w)."""

BLEND_SIGMAS = (2, 5, 10, 20)
LAB_SIGMAS = (2, 4, 8)
RATIO_SIGMAS = (2, 5)
DEVIATION_SIGMAS = (2, 5)
REACH = 60.0
"""Distance from the outline, in working pixels, at which distances are clipped."""
OCCLUSION_WEIGHT = 0.3
"""Visibility of an occluded pixel when masks are blended."""
MIN_GAP = 0.1
"""Smallest gap in a weight, in frames: a frame's own mask outweighs the others without a division by 0."""

MASK_CHANNELS = ("mask", "error", "visible", "gap")
CHANNELS: tuple[str, ...] = (
    *(f"near_{name}" for name in MASK_CHANNELS),
    *(f"far_{name}" for name in MASK_CHANNELS),
    "even_blend",
    "blend",
    *(f"blend_blurred_{sigma}" for sigma in BLEND_SIGMAS),
    "distance",
    "log_ratio",
    *(f"log_ratio_blurred_{sigma}" for sigma in RATIO_SIGMAS),
    "log_ratio_all",
    *(f"log_ratio_all_blurred_{sigma}" for sigma in RATIO_SIGMAS),
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
    *BACKGROUND_CHANNELS,
)
"""Names of the channels, in order; lengths are in working pixels.

- ``near_*``, ``far_*``, of the nearer and the farther propagated mask: the mask (0..1), its photometric error (/ 50),
  its visibility (0..1), and the frames in between (g / (g + 10)).
- ``even_blend``, ``blend``: both masks blended by the gap alone, and by gap, error and visibility; the latter blurred;
  ``distance``: signed distance to its outline (inside positive, clipped and divided by ``REACH``).
- ``log_ratio``, ``log_ratio_all``: log likelihood ratio of the colour, subject against background (natural logarithm
  / 5), from the two masks and from all masks; blurred.
- ``motion*``: residual motion after removal of the camera's (pixels / 5), blurred.
- ``relative_*``: position relative to the blend's centre (in square roots of its area, / 3); ``x``, ``y``: position in
  the frame (0..1).
- ``lightness``, ``a``, ``b``: Lab (8-bit / 255), blurred; ``gradient`` of lightness (/ 100); its local standard
  ``deviation`` (/ 50).
- ``background_*``: differences from other frames, see ``features.background_difference``.
"""


@dataclass(frozen=True, eq=False)
class AppearanceFeatures:
    """Features of a frame that do not depend on any mask.

    Attributes:
        lab: (h, w, 3) 8-bit.
        colour: The channels from ``lightness`` to ``deviation``, (A, h, w).
        background: The background channels, (len(BACKGROUND_CHANNELS), h, w).
        motion: (h, w, 2), flow to a neighbouring frame in working pixels.
    """

    lab: Image
    colour: FeatureMaps
    background: BackgroundMaps
    motion: Flow

    @classmethod
    def from_lab(cls, lab: Image, motion: Flow, background: BackgroundMaps) -> "AppearanceFeatures":
        """Compute the colour channels of a frame (h, w, 3), 8-bit Lab."""
        values = lab.astype(np.float32)
        light = values[..., 0]
        planes = [*np.moveaxis(values, 2, 0)]
        for sigma in LAB_SIGMAS:
            planes += [*np.moveaxis(blurred(values, sigma), 2, 0)]
        slope = _length(cv2.Sobel(light, cv2.CV_32F, 1, 0), cv2.Sobel(light, cv2.CV_32F, 0, 1))
        planes = [plane / np.float32(255) for plane in planes] + [slope / np.float32(100)]
        for sigma in DEVIATION_SIGMAS:
            variance = blurred(light * light, sigma) - blurred(light, sigma) ** 2
            planes.append(np.sqrt(np.maximum(variance, 0)) / np.float32(50))
        return cls(lab, np.stack(planes), background, motion)


def blend_masks(near: PropagatedMask, far: PropagatedMask, error_scale: float) -> Probability:
    """Blend two propagated masks (h, w) by w = visibility exp(-error / error_scale) / gap."""
    one, other = (
        propagation_weight(
            propagation_cost(mask.error, mask.visible, error_scale, OCCLUSION_WEIGHT), max(mask.gap, MIN_GAP)
        )
        for mask in (near, far)
    )
    return (one * near.mask + other * far.mask) / np.maximum(one + other, 1e-12)


def assemble_features(
    appearance: AppearanceFeatures,
    masks: tuple[PropagatedMask, PropagatedMask],
    ratios: tuple[NDArray[np.float32], ...],
    error_scale: float,
) -> FeatureMaps:
    """Stack all channels of a frame, (E, h, w) in the order of ``CHANNELS``.

    Args:
        appearance: Features of the frame itself.
        masks: The masks propagated to it; the same one twice if there is only one.
        ratios: Log likelihood ratios of its colours (h, w), from the two masks and from all.
        error_scale: Photometric error that lowers the weight of a mask in the blend to 1/e.
    """
    near, far = sorted(masks, key=lambda mask: mask.gap)
    blended = blend_masks(near, far, error_scale)
    share = np.float32(max(far.gap, MIN_GAP) / (max(near.gap, MIN_GAP) + max(far.gap, MIN_GAP)))
    planes = [
        *_mask_planes(near),
        *_mask_planes(far),
        share * near.mask + (1 - share) * far.mask,
        blended,
        *(blurred(blended, sigma) for sigma in BLEND_SIGMAS),
        signed_distance(blended > 0.5, REACH),
        *(plane for ratio in ratios for plane in _with_blurs(ratio / np.float32(5))),
        *_motion_planes(appearance.motion, blended < 0.3),
        *_position_planes(blended),
        *appearance.colour,
        *appearance.background,
    ]
    assert len(planes) == len(CHANNELS)
    return np.stack(planes).astype(np.float32, copy=False)


def blurred(values: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Blur a map (h, w) or (h, w, C) by a Gaussian; wide blurs run at reduced size, without visible difference."""
    factor = int(sigma // 4)
    if factor < 2 or min(values.shape[:2]) < 8 * factor:
        return cv2.GaussianBlur(values, (0, 0), sigma)
    height, width = values.shape[:2]
    small = cv2.resize(values, (-(-width // factor), -(-height // factor)), interpolation=cv2.INTER_AREA)
    return cv2.resize(cv2.GaussianBlur(small, (0, 0), sigma / factor), (width, height), interpolation=cv2.INTER_LINEAR)


def signed_distance(mask: Mask, reach: float) -> NDArray[np.float32]:
    """Signed distance to a mask's outline (h, w) in units of ``reach``, inside positive, clipped to -1..1."""
    inside = mask.astype(np.uint8)
    if not mask.any() or mask.all():
        return np.full(mask.shape, 1.0 if mask.any() else -1.0, np.float32)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 5) - cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    return np.clip(distance / reach, -1, 1).astype(np.float32)


def _mask_planes(mask: PropagatedMask) -> list[NDArray[np.float32]]:
    gap = np.full(mask.mask.shape, mask.gap / (mask.gap + 10), np.float32)
    return [mask.mask, mask.error / np.float32(50), mask.visible, gap]


def _with_blurs(ratio: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    return [ratio, *(blurred(ratio, sigma) for sigma in RATIO_SIGMAS)]


def _motion_planes(flow: Flow, backdrop: Mask) -> list[NDArray[np.float32]]:
    residual = blurred(residual_motion(flow, backdrop), 2) / np.float32(5)
    x, y = residual[..., 0], residual[..., 1]
    return [x, y, _length(x, y)]


def _length(x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
    # The last bit of cv2.magnitude depends on the arrays' addresses, so that its results differ from run to run.
    return np.sqrt(x * x + y * y)


def _position_planes(blended: Probability) -> list[NDArray[np.float32]]:
    height, width = blended.shape
    y, x = (axis.astype(np.float32) for axis in np.mgrid[:height, :width])
    area = max(float(blended.sum()), 1.0)
    centre_x, centre_y = (float((blended * axis).sum()) / area for axis in (x, y))
    unit = 3 * area**0.5
    return [(x - centre_x) / unit, (y - centre_y) / unit, x / width, y / height]
