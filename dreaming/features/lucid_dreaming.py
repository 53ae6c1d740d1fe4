"""Synthetic training frames: the subject of a hand-masked frame over its background, both changed at random.

Source: "Lucid Data Dreaming for Video Object Segmentation" (Khoreva, Benenson, Ilg, Brox and Schiele, IJCV 2019),
section 4: subject and background are separated, the hole is inpainted, and both are composited again after separate
changes.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dreaming.clip.annotations import References
from dreaming.constraints import ImageSide, PositiveInt, Seed
from dreaming.imaging.morphology import feather
from dreaming.imaging.resize import resize_image, working_size
from dreaming.io.types import Flow, Image, Mask, Size

SEAM_SIGMA = 0.7
"""Gaussian blur of the subject's outline in pixels, so that no hard edge reveals the composition."""
INPAINT_RADIUS = 3.0
"""Radius in pixels from which the hole behind the subject is filled."""
HOLE_MARGIN = 3
"""Pixels around the subject that are inpainted too, because its colours bleed into them."""
ELASTIC_NODES = 4
"""Displaced nodes along the longer side of an elastic deformation; in between, cubic interpolation."""
PLACEMENT_ATTEMPTS = 10
"""Random changes tried until at least a quarter of the subject stays inside the frame."""


@dataclass(frozen=True, kw_only=True)
class SceneChange:
    """Random change of one layer of a scene, subject or background.

    Attributes:
        shift: Standard deviation of the shift, relative to the layer's size (square root of its area).
        rotation: Standard deviation of the angle, in degrees.
        zoom: Standard deviation of the logarithm of the scale.
        elastic_std: Standard deviation of the elastic displacement, relative to the layer's size.
        color_jitter: Standard deviation of the logarithms of gain and gamma, and twice that of the offset in 0..1.
    """

    shift: float
    rotation: float
    zoom: float
    elastic_std: float
    color_jitter: float = 0.0

    def coordinates(self, mask: Mask, random: np.random.Generator) -> Flow:
        """Draw, around the centre of a layer's mask (H, W), (x, y) from which each pixel is sampled, (H, W, 2)."""
        height, width = mask.shape
        rows, columns = np.nonzero(mask)
        centre = np.array([columns.mean(), rows.mean()], np.float32)
        size = math.sqrt(len(rows))
        angle, scale = math.radians(random.normal() * self.rotation), math.exp(random.normal() * self.zoom)
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], np.float32) * scale
        moved = random.normal(size=2).astype(np.float32) * self.shift * size
        rigid = (_pixel_grid((height, width)) - centre - moved) @ turn.T + centre
        step = ELASTIC_NODES - 1
        counts = [max(2, round(step * length / max(height, width)) + 1) for length in (height, width)]
        nodes = (random.normal(size=(*counts, 2)) * self.elastic_std * size).astype(np.float32)
        return rigid + cv2.resize(nodes, (width, height), interpolation=cv2.INTER_CUBIC)

    def with_jitter(self, image: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
        """Change the brightness and contrast of an image (H, W, 3) in 0..1."""
        gain, gamma = np.exp(random.normal(size=2) * self.color_jitter)
        shift = random.normal() * self.color_jitter / 2
        return np.clip(np.clip(image, 0, 1) ** np.float32(gamma) * np.float32(gain) + np.float32(shift), 0, 1)


SUBJECT = SceneChange(shift=0.3, rotation=15, zoom=0.15, elastic_std=0.03, color_jitter=0.1)
BACKGROUND = SceneChange(shift=0.02, rotation=2, zoom=0.03, elastic_std=0.003, color_jitter=0.05)
"""Changes from a hand-masked frame to a synthetic one."""
SUBJECT_MOTION = SceneChange(shift=0.15, rotation=10, zoom=0.08, elastic_std=0.04, color_jitter=0.03)
BACKGROUND_MOTION = SceneChange(shift=0.02, rotation=1, zoom=0.02, elastic_std=0.002, color_jitter=0.03)
"""Changes between a synthetic frame and its neighbours, from which masks are propagated to it."""


@dataclass(frozen=True, kw_only=True)
class LucidDreaming:
    """Lucid Data Dreaming (Khoreva et al., IJCV 2019): settings of the synthetic frames.

    Attributes:
        count: Synthetic frames per hand-masked frame.
        short_side: Shorter side of the synthetic frames in pixels; None: full size.
    """

    kind: ClassVar[str] = "lucid_dreaming"

    count: PositiveInt = 4
    short_side: ImageSide | None = 240
    seed: Seed = 0

    def scenes(self, references: References, size: Size) -> Iterator[tuple[str, "SyntheticScene", np.random.Generator]]:
        """Yield scenes of ``size``, ``count`` per frame that shows the subject, with name and random generator."""
        for stem, image, mask in zip(references.stems, references.images, references.masks, strict=True):
            small_mask = resize_image(mask.astype(np.float32), size) > 0.5
            if not small_mask.any():
                continue
            random = np.random.default_rng([self.seed, *stem.encode()])
            scene = SyntheticScene.from_frame(resize_image(image, size), small_mask)
            for _ in range(self.count):
                yield stem, scene.changed(SUBJECT, BACKGROUND, random), random

    def synthesise(self, references: References) -> References:
        """Make synthetic frames with masks to train on."""
        size = working_size(references.size, self.short_side)
        return composite_scenes([(stem, scene) for stem, scene, _ in self.scenes(references, size)])


@dataclass(frozen=True, eq=False)
class SyntheticScene:
    """A frame in two layers.

    Attributes:
        subject: (H, W, 3) in 0..1, the subject's colours, extended beyond the mask.
        mask: (H, W), the subject's mask.
        background: (H, W, 3) in 0..1, inpainted behind the subject.
    """

    subject: NDArray[np.float32]
    mask: Mask
    background: NDArray[np.float32]

    @classmethod
    def from_frame(cls, image: Image, mask: Mask) -> "SyntheticScene":
        """Separate a hand-masked frame (H, W, 3), (H, W) into subject and inpainted background."""
        hole = cv2.dilate(mask.astype(np.uint8), np.ones((2 * HOLE_MARGIN + 1,) * 2, np.uint8))
        inpainted = cv2.inpaint(np.ascontiguousarray(image), hole, INPAINT_RADIUS, cv2.INPAINT_TELEA)
        # Beyond the outline the subject's own colours continue, so that a deformation never includes background.
        core = mask & ndimage.binary_erosion(mask)
        nearest = ndimage.distance_transform_edt(
            ~(core if core.any() else mask), return_distances=False, return_indices=True
        )
        extended = image[tuple(nearest)]
        return cls(extended.astype(np.float32) / 255, mask, inpainted.astype(np.float32) / 255)

    def changed(self, subject: SceneChange, background: SceneChange, random: np.random.Generator) -> "SyntheticScene":
        """Change both layers separately; the subject keeps its shape and position if it would leave the frame."""
        for _ in range(PLACEMENT_ATTEMPTS):
            coordinates = subject.coordinates(self.mask, random)
            mask = _sample(self.mask.astype(np.float32), coordinates, cv2.BORDER_CONSTANT) > 0.5
            if 4 * mask.sum() >= self.mask.sum():
                break
        else:
            coordinates, mask = _pixel_grid(self.mask.shape), self.mask
        own = subject.with_jitter(_sample(self.subject, coordinates, cv2.BORDER_REFLECT), random)
        around = background.coordinates(np.ones_like(self.mask), random)
        return SyntheticScene(
            own, mask, background.with_jitter(_sample(self.background, around, cv2.BORDER_REFLECT), random)
        )

    def composite(self) -> Image:
        """Composite the subject over the background, (H, W, 3) uint8."""
        alpha = feather(self.mask.astype(np.float32), SEAM_SIGMA)[..., None]
        return np.rint((self.subject * alpha + self.background * (1 - alpha)) * 255).astype(np.uint8)


def _sample(picture: NDArray[np.float32], coordinates: Flow, border: int) -> NDArray[np.float32]:
    return cv2.remap(picture, coordinates[..., 0], coordinates[..., 1], cv2.INTER_LINEAR, borderMode=border)


def _pixel_grid(size: tuple[int, ...]) -> Flow:
    """(x, y) of each pixel, (H, W, 2)."""
    return np.stack(np.meshgrid(np.arange(size[1]), np.arange(size[0])), axis=-1).astype(np.float32)


def composite_scenes(scenes: Sequence[tuple[str, SyntheticScene]]) -> References:
    """Composite scenes, each with the name of its hand-masked frame, into frames with masks."""
    assert scenes
    stems = tuple(f"{stem} synthetic {number}" for number, (stem, _) in enumerate(scenes))
    images = np.stack([scene.composite() for _, scene in scenes])
    return References(stems, images, np.stack([scene.mask for _, scene in scenes]))
