"""Variations of a batch of crops, made on the device the batch is on.

All geometry of a batch is one grid and one resampling, for picture and mask alike; each parameter at 0 switches its
variation off. The same job by kornia's RandomAffine and RandomElasticTransform samples twice, and its colour
operations work picture by picture.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def _signed(shape: tuple[int, ...], strength: float, like: Tensor, generator: torch.Generator) -> Tensor:
    """Random numbers, uniform in -strength..strength."""
    return (torch.rand(shape, generator=generator, device=like.device) * 2 - 1) * strength


def _chosen(count: int, share: float, like: Tensor, generator: torch.Generator) -> Tensor:
    """Booleans (count,), each true with probability ``share``."""
    return torch.rand(count, generator=generator, device=like.device) < share


@dataclass(frozen=True, kw_only=True)
class GeometricAugmentation:
    """Where a crop's pixels are taken from: mirrored, turned, moved by an affine map and bent.

    Attributes:
        flip_horizontal: Share of crops mirrored left to right.
        flip_vertical: Share of crops mirrored top to bottom.
        quarter_turns: Share of crops turned by 90, 180 or 270 degrees.
        affine: Share of crops that get the three below.
        rotation: Largest angle in degrees, either way.
        zoom: Largest change of size: from 1 / (1 + zoom) to 1 + zoom times.
        shear: Largest slant along x in degrees, either way.
        elastic: Share of crops that are bent.
        bend: Standard deviation of the displacement in pixels.
        spacing: Distance in pixels between the nodes that are displaced; in between, cubic interpolation (the
            elastic deformation of Ronneberger et al. 2015, section 3.1).
    """

    kind: ClassVar[str] = "geometric_augmentation"

    flip_horizontal: float = 0.0
    flip_vertical: float = 0.0
    quarter_turns: float = 0.0
    affine: float = 0.0
    rotation: float = 0.0
    zoom: float = 0.0
    shear: float = 0.0
    elastic: float = 0.0
    elastic_std: float = 0.0
    spacing: int = 32

    def headroom(self, crop: int) -> int:
        """Pixels that a crop needs around itself, so that (almost) none of its corners leaves what was gathered."""
        reach = 1.0
        if self.affine:
            angle = math.radians(min(self.rotation, 45.0))
            slant = 1 + math.tan(math.radians(self.shear))
            reach = (math.cos(angle) + math.sin(angle) * slant) * slant * (1 + self.zoom)
        return math.ceil(crop / 2 * (reach - 1) + (2 * self.elastic_std if self.elastic else 0))

    def places(self, count: int, crop: int, like: Tensor, generator: torch.Generator) -> Tensor:
        """Where each pixel of a crop is taken from, (count, crop, crop, 2): (x, y) in pixels from the crop's centre.

        Args:
            count: Crops in the batch.
            crop: Their side in pixels.
            like: A tensor on the device to use.
            generator: On the same device.
        """
        line = torch.arange(crop, device=like.device) - (crop - 1) / 2
        grid = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1)  # (crop, crop, 2)
        places = torch.einsum("bij,yxj->byxi", self._matrices(count, like, generator), grid)
        if self.elastic and self.elastic_std:
            nodes = crop // self.spacing + 2
            pushed = torch.randn((count, 2, nodes, nodes), generator=generator, device=like.device) * self.elastic_std
            pushed *= _chosen(count, self.elastic, like, generator)[:, None, None, None]
            places = places + F.interpolate(pushed, (crop, crop), mode="bicubic", align_corners=True).movedim(1, -1)
        return places

    def _matrices(self, count: int, like: Tensor, generator: torch.Generator) -> Tensor:
        """Flip, quarter turn and affine map of each crop as one matrix (count, 2, 2)."""
        moved = _chosen(count, self.affine, like, generator)
        angle = _signed((count,), math.radians(self.rotation), like, generator) * moved
        size = (1 + self.zoom) ** (_signed((count,), 1.0, like, generator) * moved)
        slant = _signed((count,), math.radians(self.shear), like, generator).tan() * moved
        turned = _chosen(count, self.quarter_turns, like, generator)
        turns = torch.randint(1, 4, (count,), generator=generator, device=like.device) * turned
        mirror_x = 1 - 2 * _chosen(count, self.flip_horizontal, like, generator).float()
        mirror_y = 1 - 2 * _chosen(count, self.flip_vertical, like, generator).float()
        zero, one = torch.zeros_like(angle), torch.ones_like(angle)

        def matrix(*entries: Tensor) -> Tensor:
            return torch.stack(entries, dim=-1).reshape(-1, 2, 2)

        def rotation(cosine: Tensor, sine: Tensor) -> Tensor:
            return matrix(cosine, -sine, sine, cosine)

        # Whole numbers, so that a quarter turn moves pixels onto pixels.
        quarter = rotation(one.new_tensor([1, 0, -1, 0])[turns], one.new_tensor([0, 1, 0, -1])[turns])
        return (
            rotation(angle.cos() * size, angle.sin() * size)
            @ matrix(one, slant, zero, one)
            @ quarter
            @ matrix(mirror_x, zero, zero, mirror_y)
        )


def resample(pixels: Tensor, places: Tensor) -> Tensor:
    """Bilinear samples (B, C, H, W) of pictures (B, C, H', W') at places (B, H, W, 2), (x, y) from their centre."""
    size = torch.tensor([pixels.shape[-1], pixels.shape[-2]], device=pixels.device)
    return F.grid_sample(pixels, places * (2 / size), mode="bilinear", padding_mode="reflection", align_corners=False)


@dataclass(frozen=True, kw_only=True)
class ColorJitter:
    """Other light on a batch of pictures: colour, brightness, contrast, gamma; each crop its own.

    Attributes:
        colour: Standard deviation of a shift along each principal component of the clip's colours, in units of their
            standard deviation along it. Source: AlexNet (Krizhevsky et al. 2012), section 4.1, which multiplies by the
            variance instead, and so depends on the range of the values.
        brightness: Largest shift, either way, in 0..1.
        contrast: Largest relative change of the distance to the picture's mean, either way.
        gamma: Largest change of exponent: from 1 / (1 + gamma) to 1 + gamma.
    """

    kind: ClassVar[str] = "color_jitter"

    colour: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    gamma: float = 0.0

    def __call__(self, image: Tensor, components: Tensor, variances: Tensor, generator: torch.Generator) -> Tensor:
        """The pictures (B, 3, H, W) in 0..1 in other light.

        Args:
            image: (B, 3, H, W) in 0..1.
            components: Principal components of the clip's colours, (3, 3), one a row.
            variances: Their variances, (3,).
            generator: On the picture's device.
        """
        count = len(image)
        if self.gamma:
            exponent = (1 + self.gamma) ** _signed((count, 1, 1, 1), 1.0, image, generator)
            image = image.clamp(min=1e-6) ** exponent
        gain = 1 + _signed((count, 1, 1, 1), self.contrast, image, generator)
        steps = torch.randn((count, 3), generator=generator, device=image.device) * self.colour * variances.sqrt()
        shift = _signed((count, 1), self.brightness, image, generator) + steps @ components  # (B, 3)
        # One multiplication and one addition for colour, brightness and contrast together.
        offset = shift[:, :, None, None] + image.mean(dim=(1, 2, 3), keepdim=True) * (1 - gain)
        return (image * gain + offset).clamp(0, 1)
