"""Augmentation of a batch of crops on its device.

All geometry of a batch is one grid and one resampling, for image and mask; a parameter of 0 disables its augmentation.
kornia's RandomAffine and RandomElasticTransform resample twice, and its colour operations process image by image.
"""

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from dreaming.constraints import NonNegativeFloat, PositiveInt, Range, UnitFloat


def _signed(shape: tuple[int, ...], strength: float, like: Tensor, generator: torch.Generator) -> Tensor:
    """Random numbers, uniform in -strength..strength."""
    return (torch.rand(shape, generator=generator, device=like.device) * 2 - 1) * strength


def _chosen(count: int, share: float, like: Tensor, generator: torch.Generator) -> Tensor:
    """Booleans (count,), each True with probability ``share``."""
    return torch.rand(count, generator=generator, device=like.device) < share


@dataclass(frozen=True, kw_only=True)
class GeometricAugmentation:
    """Random flips, quarter turns, affine maps and elastic deformations.

    Attributes:
        flip_horizontal: Share of crops mirrored left to right.
        flip_vertical: Share of crops mirrored top to bottom.
        quarter_turns: Share of crops rotated by 90, 180 or 270 degrees.
        affine: Share of crops with rotation, zoom and shear.
        rotation: Largest angle in degrees, in either direction.
        zoom: Largest change of scale: from 1 / (1 + zoom) to 1 + zoom times.
        shear: Largest shear along x in degrees, in either direction.
        elastic: Share of crops with an elastic deformation.
        elastic_std: Standard deviation of the displacement in pixels.
        spacing: Distance in pixels between the displaced nodes; in between, cubic interpolation (the elastic
            deformation of Ronneberger et al. 2015, section 3.1).
    """

    kind: ClassVar[str] = "geometric_augmentation"

    flip_horizontal: UnitFloat = 0.0
    flip_vertical: UnitFloat = 0.0
    quarter_turns: UnitFloat = 0.0
    affine: UnitFloat = 0.0
    rotation: NonNegativeFloat = 0.0
    zoom: NonNegativeFloat = 0.0
    shear: Annotated[float, Range(ge=0, lt=90)] = 0.0
    elastic: UnitFloat = 0.0
    elastic_std: NonNegativeFloat = 0.0
    spacing: PositiveInt = 24

    def headroom(self, crop: int) -> int:
        """Margin in pixels that a crop needs so that its corners (almost) never leave the gathered pixels."""
        extent = 1.0
        if self.affine:
            angle = math.radians(min(self.rotation, 45.0))
            shear = 1 + math.tan(math.radians(self.shear))
            extent = (math.cos(angle) + math.sin(angle) * shear) * shear * (1 + self.zoom)
        return math.ceil(crop / 2 * (extent - 1) + (2 * self.elastic_std if self.elastic else 0))

    def positions(self, count: int, crop: int, like: Tensor, generator: torch.Generator) -> Tensor:
        """Draw sampling positions of ``count`` crops, (count, crop, crop, 2): (x, y) in pixels from the crop's centre.

        The generator and the tensor ``like`` are on the device to use.
        """
        line = torch.arange(crop, device=like.device) - (crop - 1) / 2
        grid = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1)  # (crop, crop, 2)
        positions = torch.einsum("bij,yxj->byxi", self._matrices(count, like, generator), grid)
        if self.elastic and self.elastic_std:
            nodes = crop // self.spacing + 2
            displaced = (
                torch.randn((count, 2, nodes, nodes), generator=generator, device=like.device) * self.elastic_std
            )
            displaced *= _chosen(count, self.elastic, like, generator)[:, None, None, None]
            positions = positions + F.interpolate(displaced, (crop, crop), mode="bicubic", align_corners=True).movedim(
                1, -1
            )
        return positions

    def _matrices(self, count: int, like: Tensor, generator: torch.Generator) -> Tensor:
        """Draw flip, quarter turn and affine map of each crop as one matrix (count, 2, 2)."""
        moved = _chosen(count, self.affine, like, generator)
        angle = _signed((count,), math.radians(self.rotation), like, generator) * moved
        size = (1 + self.zoom) ** (_signed((count,), 1.0, like, generator) * moved)
        shear = _signed((count,), math.radians(self.shear), like, generator).tan() * moved
        turned = _chosen(count, self.quarter_turns, like, generator)
        turns = torch.randint(1, 4, (count,), generator=generator, device=like.device) * turned
        mirror_x = 1 - 2 * _chosen(count, self.flip_horizontal, like, generator).float()
        mirror_y = 1 - 2 * _chosen(count, self.flip_vertical, like, generator).float()
        zero, one = torch.zeros_like(angle), torch.ones_like(angle)

        def matrix(*entries: Tensor) -> Tensor:
            return torch.stack(entries, dim=-1).reshape(-1, 2, 2)

        def rotation(cosine: Tensor, sine: Tensor) -> Tensor:
            return matrix(cosine, -sine, sine, cosine)

        # Integers, so that a quarter turn maps pixels to pixels.
        quarter = rotation(one.new_tensor([1, 0, -1, 0])[turns], one.new_tensor([0, 1, 0, -1])[turns])
        return (
            rotation(angle.cos() * size, angle.sin() * size)
            @ matrix(one, shear, zero, one)
            @ quarter
            @ matrix(mirror_x, zero, zero, mirror_y)
        )


def resample(pixels: Tensor, positions: Tensor) -> Tensor:
    """Sample images (B, C, H', W') bilinearly at positions (B, H, W, 2), (x, y) from their centre: (B, C, H, W)."""
    size = torch.tensor([pixels.shape[-1], pixels.shape[-2]], device=pixels.device)
    return F.grid_sample(
        pixels, positions * (2 / size), mode="bilinear", padding_mode="reflection", align_corners=False
    )


@dataclass(frozen=True, kw_only=True)
class ColorJitter:
    """Random changes of colour, brightness, contrast and gamma, different for each image of a batch.

    Attributes:
        colour: Standard deviation of a shift along each principal component of the clip's colours, in units of their
            standard deviation along it. Source: AlexNet (Krizhevsky et al. 2012), section 4.1, which multiplies by the
            variance instead, and so depends on the range of the values.
        brightness: Largest shift in either direction, of a range of 0..1.
        contrast: Largest relative change of the distance from the image's mean, in either direction.
        gamma: Largest change of the exponent: from 1 / (1 + gamma) to 1 + gamma.
    """

    kind: ClassVar[str] = "color_jitter"

    colour: NonNegativeFloat = 0.0
    brightness: NonNegativeFloat = 0.0
    contrast: NonNegativeFloat = 0.0
    gamma: NonNegativeFloat = 0.0

    def __call__(
        self,
        image: Tensor,
        components: Tensor,
        variances: Tensor,
        generator: torch.Generator,
        count: int | None = None,
        rows: slice = slice(None),
    ) -> Tensor:
        """Augment images (B, 3, H, W) in 0..1.

        Args:
            image: (B, 3, H, W) in 0..1.
            components: Principal components of the clip's colours, (3, 3), one per row.
            variances: Their variances, (3,).
            generator: A generator on the images' device.
            count: Number of images in the whole batch, if these are one device's share of it.
            rows: Which of the whole batch these are.
        """
        count = len(image) if count is None else count
        if self.gamma:
            exponent = (1 + self.gamma) ** _signed((count, 1, 1, 1), 1.0, image, generator)[rows]
            image = image.clamp(min=1e-6) ** exponent
        gain = 1 + _signed((count, 1, 1, 1), self.contrast, image, generator)[rows]
        steps = torch.randn((count, 3), generator=generator, device=image.device) * self.colour * variances.sqrt()
        shift = (_signed((count, 1), self.brightness, image, generator) + steps @ components)[rows]  # (B, 3)
        # One multiplication and one addition for colour, brightness and contrast together.
        offset = shift[:, :, None, None] + image.mean(dim=(1, 2, 3), keepdim=True) * (1 - gain)
        return (image * gain + offset).clamp(0, 1)
