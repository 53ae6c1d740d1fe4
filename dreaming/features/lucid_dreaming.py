"""Lucid dreaming: made-up frames, the subject cut out of a hand-masked one and put back moved, bent and lit anew.

Source: "Lucid Data Dreaming for Video Object Segmentation" (Khoreva, Benenson, Ilg, Brox and Schiele, IJCV 2019),
section 4: subject and background are parted, the hole is inpainted, and both are put together again after changes of
their own.
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
from dreaming.imaging.morphology import feather
from dreaming.imaging.resize import resize_image, working_size
from dreaming.io.types import Flow, Image, Mask, Size


@dataclass(frozen=True, kw_only=True)
class SceneChange:
    """By how much one of the two, subject or background, changes from one made-up frame to another.

    Attributes:
        shift: Standard deviation of the way it moves, as a share of its size.
        rotation: Standard deviation in degrees.
        zoom: Standard deviation of the logarithm of its size.
        bend: Standard deviation of the displacement of nodes, as a share of its size.
        nodes: Displaced nodes along the longer side; in between, cubic interpolation.
        light: Standard deviation of the logarithm of its gain and gamma, and of its shift in 0..1.
    """

    kind: ClassVar[str] = "scene_change"

    shift: float
    rotation: float
    zoom: float
    elastic_std: float
    nodes: int = 4
    light: float = 0.0

    def __post_init__(self) -> None:
        assert self.nodes >= 2

    def places(self, mask: Mask, random: np.random.Generator) -> Flow:
        """Where each pixel is taken from, (H, W, 2): (x, y).

        Args:
            mask: (H, W), where it lies: it turns about the middle of that and is as large as that is.
            random: What is drawn from.
        """
        height, width = mask.shape
        rows, columns = np.nonzero(mask)
        centre = np.array([columns.mean(), rows.mean()], np.float32)
        size = math.sqrt(len(rows))
        angle, scale = math.radians(random.normal() * self.rotation), math.exp(random.normal() * self.zoom)
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], np.float32) * scale
        moved = random.normal(size=2).astype(np.float32) * self.shift * size
        grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32)
        places = (grid - centre - moved) @ turn.T + centre
        step = self.nodes - 1
        counts = [max(2, round(step * length / max(height, width)) + 1) for length in (height, width)]
        pushed = (random.normal(size=(*counts, 2)) * self.elastic_std * size).astype(np.float32)
        return places + cv2.resize(pushed, (width, height), interpolation=cv2.INTER_CUBIC)

    def with_jitter(self, image: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
        """A picture (H, W, 3) in 0..1 in other light."""
        gain, gamma = np.exp(random.normal(size=2) * self.light)
        shift = random.normal() * self.light / 2
        return np.clip(np.clip(image, 0, 1) ** np.float32(gamma) * np.float32(gain) + np.float32(shift), 0, 1)


@dataclass(frozen=True, kw_only=True)
class LucidDreaming:
    """How frames are made up.

    Attributes:
        count: Made-up frames for each hand-masked one.
        pose: How the subject differs from its hand-masked frame.
        scene: How the background does.
        motion: How the subject moves between neighbours of a made-up frame, from which its evidence is carried.
        drift: How the background does meanwhile.
        soften: Sigma in pixels of the seam, smoothed so that no edge gives the subject away.
        inpaint: Radius in pixels that the hole behind the subject is filled from.
        grow: Pixels around the subject that are filled too, for its colours bleed into them.
        farthest: Frames that a made-up neighbour may be said to be away, at most.
        short_side: Shorter side in pixels that frames are made up at; None: as they are.
        seed: Of all that is drawn.
    """

    kind: ClassVar[str] = "lucid_dreaming"

    count: int = 4
    pose: SceneChange = SceneChange(shift=0.3, rotation=15, zoom=0.15, elastic_std=0.03, light=0.1)
    scene: SceneChange = SceneChange(shift=0.02, rotation=2, zoom=0.03, elastic_std=0.003, light=0.05)
    motion: SceneChange = SceneChange(shift=0.15, rotation=10, zoom=0.08, elastic_std=0.04, light=0.03)
    drift: SceneChange = SceneChange(shift=0.02, rotation=1, zoom=0.02, elastic_std=0.002, light=0.03)
    soften: float = 0.7
    inpaint: float = 3.0
    grow: int = 3
    farthest: int = 20
    short_side: int | None = 240
    seed: int = 0

    def scenes(self, references: References, size: Size) -> Iterator[tuple[str, "SyntheticScene", np.random.Generator]]:
        """Yield ``count`` made-up scenes of each hand-masked frame, with its name and a random stream of its own.

        Args:
            references: Hand-masked frames; one without a subject gives nothing.
            size: (height, width) of the scenes.
        """
        for stem, painted, mask in zip(references.stems, references.images, references.masks, strict=True):
            cut = resize_image(mask.astype(np.float32), size) > 0.5
            if not cut.any():
                continue
            random = np.random.default_rng([self.seed, *stem.encode()])
            scene = SyntheticScene.of(resize_image(painted, size), cut, self)
            for _ in range(self.count):
                yield stem, scene.changed(self.pose, self.scene, random), random

    def frames(self, references: References) -> References:
        """Made-up frames to learn from."""
        size = working_size(references.size, self.short_side)
        return gathered([(stem, scene) for stem, scene, _ in self.scenes(references, size)], self.soften)


@dataclass(frozen=True, eq=False)
class SyntheticScene:
    """A frame in two layers.

    Attributes:
        subject: (H, W, 3) in 0..1; what counts of it lies inside the mask.
        mask: (H, W).
        background: (H, W, 3) in 0..1, without the subject.
    """

    subject: NDArray[np.float32]
    mask: Mask
    background: NDArray[np.float32]

    @classmethod
    def of(cls, image: Image, mask: Mask, lucid: LucidDreaming) -> "SyntheticScene":
        """Part a hand-masked frame (H, W, 3), (H, W): subject, and background with the hole filled."""
        hole = cv2.dilate(mask.astype(np.uint8), np.ones((2 * lucid.grow + 1,) * 2, np.uint8))
        filled = cv2.inpaint(np.ascontiguousarray(image), hole, lucid.inpaint, cv2.INPAINT_TELEA)
        # Beyond the outline the subject's own colours go on, so that bending never drags background in.
        core = mask & ndimage.binary_erosion(mask)
        nearest = ndimage.distance_transform_edt(
            ~(core if core.any() else mask), return_distances=False, return_indices=True
        )
        own = image[tuple(nearest)]
        return cls(own.astype(np.float32) / 255, mask, filled.astype(np.float32) / 255)

    def changed(self, subject: SceneChange, background: SceneChange, random: np.random.Generator) -> "SyntheticScene":
        """Both layers, each changed by itself; the subject stays as it was if it would leave the picture."""
        for _ in range(10):
            places = subject.places(self.mask, random)
            mask = _warped(self.mask.astype(np.float32), places, cv2.BORDER_CONSTANT) > 0.5
            if 4 * mask.sum() >= self.mask.sum():
                break
        else:
            places, mask = _identity(self.mask.shape), self.mask
        own = subject.with_jitter(_warped(self.subject, places, cv2.BORDER_REFLECT), random)
        around = background.places(np.ones_like(self.mask), random)
        return SyntheticScene(
            own, mask, background.with_jitter(_warped(self.background, around, cv2.BORDER_REFLECT), random)
        )

    def composed(self, soften: float) -> Image:
        """The two put together, (H, W, 3) uint8."""
        alpha = feather(self.mask.astype(np.float32), soften)[..., None]
        return np.rint((self.subject * alpha + self.background * (1 - alpha)) * 255).astype(np.uint8)


def _warped(picture: NDArray[np.float32], places: Flow, border: int) -> NDArray[np.float32]:
    return cv2.remap(picture, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=border)


def _identity(size: tuple[int, ...]) -> Flow:
    return np.stack(np.meshgrid(np.arange(size[1]), np.arange(size[0])), axis=-1).astype(np.float32)


def gathered(scenes: Sequence[tuple[str, SyntheticScene]], soften: float) -> References:
    """Scenes, each with the name of the frame it was made of, as frames with masks."""
    assert scenes
    stems = tuple(f"{stem} made up {number}" for number, (stem, _) in enumerate(scenes))
    images = np.stack([scene.composed(soften) for _, scene in scenes])
    return References(stems, images, np.stack([scene.mask for _, scene in scenes]))
