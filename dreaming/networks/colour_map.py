"""A polynomial colour map from source to painted colours, fitted in closed form."""

from collections.abc import Iterable, Sequence
from itertools import combinations_with_replacement

import torch
from torch import Tensor, nn
from torch.nn import functional

CHUNK = 2**16
"""Pixels whose monomials are in memory at the same time."""


class ColourMap(nn.Module):
    """A polynomial of a pixel's colour and of local mean colours, fitted by ridge regression.

    Painters drop grain and keep edges, so one input is an edge-preserving mean: several filters of growing radius,
    applied in sequence. Another is a plain mean of the neighbourhood. The map starts as the identity. Its coefficients
    are buffers: checkpoints contain them, and no optimiser changes them.

    Args:
        degree: Degree of the polynomial in the pixel's colour; products with the smoothed colour have degree 2 at most.
        radii: Radii of the edge-preserving filters, in pixels.
        contrast: Variance of colours in -1..1 above which the edge-preserving filter keeps an edge.
        surroundings: Radius of the plain mean in pixels, which enters linearly.
        ridge: Weight of the squared distance from the identity's coefficients, as a share of the number of pixels.
    """

    coefficients: Tensor

    def __init__(
        self,
        *,
        degree: int = 3,
        radii: Sequence[int] = (2, 4),
        contrast: float = 0.02,
        surroundings: int = 8,
        ridge: float = 1e-5,
    ) -> None:
        super().__init__()
        self.radii, self.contrast, self.surroundings, self.ridge = tuple(radii), contrast, surroundings, ridge
        self.products = [
            factors
            for order in range(degree + 1)
            for factors in combinations_with_replacement(range(6 if order < 3 else 3), order)
        ]
        self.register_buffer("coefficients", self._identity())

    @property
    def margin(self) -> int:
        """Radius of the receptive field in pixels."""
        return max(sum(map(receptive_radius, self.radii)), self.surroundings)

    @property
    def multiple(self) -> int:
        """Grid of the coarsest filter in pixels: tiles that start on it see the same cells as the whole picture."""
        return max(map(sampling_step, self.radii), default=1)

    @torch.no_grad()
    def forward(self, image: Tensor, smooth: Tensor | None = None) -> Tensor:
        """Map (B, 3, H, W) in -1..1, and ``smoothed`` of it if known, to (B, 3, H, W) float32, clipped to -1..1."""
        features = self._features(image, smooth)  # (B, 9, H, W)
        pixels = features.permute(0, 2, 3, 1).flatten(0, 2)
        mapped = torch.cat([self._monomials(part) @ self.coefficients for part in torch.split(pixels, CHUNK)])
        return mapped.view(len(image), *image.shape[-2:], 3).permute(0, 3, 1, 2).clamp(-1, 1)

    @torch.no_grad()
    def fit(self, pictures: Iterable[tuple[Tensor, Tensor, Tensor]]) -> None:
        """Fit the coefficients to painted pictures, with one of them in memory at a time.

        Args:
            pictures: Image (3, H, W) and painted image (3, H, W) in -1..1, and the pixels to train on (1, H, W) bool.
        """
        count, device = len(self.coefficients), self.coefficients.device
        squares = torch.zeros(count, count, dtype=torch.float64, device=device)
        targets = torch.zeros(count, 3, dtype=torch.float64, device=device)
        pixels = 0
        for picture in pictures:
            image, target, mask = (part.to(device) for part in picture)
            selected = mask.flatten()
            rows = self._features(image[None])[0].flatten(1).T[selected]
            colours = target.flatten(1).T[selected]
            for part, wanted in zip(torch.split(rows, CHUNK), torch.split(colours, CHUNK), strict=True):
                monomials = self._monomials(part).double()
                squares += monomials.T @ monomials
                targets += monomials.T @ wanted.double()
            pixels += len(rows)
        # The prior is the identity, not grey: it decides where the keyframes have few pixels.
        prior = self.ridge * pixels * torch.eye(count, dtype=torch.float64, device=device)
        solution = torch.linalg.solve(squares + prior, targets + prior @ self._identity().to(device).double())
        self.coefficients.copy_(solution)

    def smoothed(self, image: Tensor) -> Tensor:
        """Remove grain from a picture (B, 3, H, W) in -1..1."""
        smooth = image.float()
        for radius in self.radii:
            smooth = edge_preserving_mean(smooth, radius, self.contrast)
        return smooth

    def _identity(self) -> Tensor:
        identity = torch.zeros(len(self.products) + 3, 3)
        for channel in range(3):
            identity[self.products.index((channel,)), channel] = 1
        return identity

    def _features(self, image: Tensor, smooth: Tensor | None = None) -> Tensor:
        """Colour of each pixel, smoothed colour and neighbourhood mean, (B, 9, H, W) float32."""
        image = image.float()
        smooth = self.smoothed(image) if smooth is None else smooth
        return torch.cat((image, smooth, box_mean(image, self.surroundings)), dim=1)

    def _monomials(self, features: Tensor) -> Tensor:
        """Map (N, 9) to (N, M): all products up to the degree, then the linear terms."""
        terms: dict[tuple[int, ...], Tensor] = {(): torch.ones_like(features[:, 0])}
        columns = list(features.T.contiguous())
        for factors in self.products[1:]:
            terms[factors] = terms[factors[:-1]] * columns[factors[-1]]
        return torch.stack([*terms.values(), *columns[6:]], dim=1)


def box_mean(image: Tensor, radius: int) -> Tensor:
    """Mean of (B, C, H, W) over squares of side 2 radius + 1, cut off at the border."""
    pixels = [_window_sizes(length, radius, image) for length in image.shape[-2:]]
    return _window_sums(_window_sums(image, radius, -2), radius, -1) / (pixels[0][:, None] * pixels[1])


def _window_sizes(length: int, radius: int, like: Tensor) -> Tensor:
    """Number of pixels, (length,), in the window around each pixel of a line."""
    index = torch.arange(length, device=like.device)
    return ((index + radius + 1).clamp(max=length) - (index - radius).clamp(min=0)).to(like.dtype)


def _window_sums(image: Tensor, radius: int, axis: int) -> Tensor:
    """Sums over 2 radius + 1 neighbours along an axis, by adding windows of 1, 2, 4, ... pixels.

    Each sum depends only on the pixels in its window, so tiles equal whole frames bit by bit. Differences of cumulative
    sums do not have this property: their rounding errors depend on where the line starts. They also take four times as
    long on a CPU.
    """
    length, side = image.shape[axis], 2 * radius + 1
    sums = functional.pad(image, (radius, radius) if axis == -1 else (0, 0, radius, radius))
    total: Tensor | None = None
    start, width = 0, 1  # sums[i] is the sum of `width` pixels from i
    while width <= side:
        if side & width:
            part = sums.narrow(axis, start, length)
            total = part if total is None else total + part
            start += width
        pairs = sums.shape[axis] - width
        sums = sums.narrow(axis, 0, pairs) + sums.narrow(axis, width, pairs) if 2 * width <= side else sums
        width *= 2
    assert total is not None
    return total


def sampling_step(radius: int) -> int:
    """Grid in pixels on which an edge-preserving mean computes its coefficients: a power of two up to radius / 4."""
    return 1 << max(0, (radius // 4).bit_length() - 1)


def receptive_radius(radius: int) -> int:
    """Radius in pixels of the receptive field of an edge-preserving mean."""
    step = sampling_step(radius)
    return 2 * radius if step == 1 else 2 * (radius // step) * step + 2 * step


def edge_preserving_mean(image: Tensor, radius: int, contrast: float) -> Tensor:
    """Apply the guided filter to (B, C, H, W) with the picture as its own guide and one variance for all channels.

    Sources: He et al., "Guided Image Filtering" (2013), equations 5, 6 and 8; ``radius`` is that of the squares in
    pixels, ``contrast`` the filter's epsilon, a variance. For large radii the coefficients are computed on a coarser
    grid, as in He and Sun, "Fast Guided Filter" (2015); the result is nearly the same.
    """
    step, (height, width) = sampling_step(radius), image.shape[-2:]
    cells = functional.pad(image, (0, -width % step, 0, -height % step), mode="replicate") if step > 1 else image
    cell_radius = radius // step
    mean = box_mean(_cell_means(cells, step), cell_radius)
    squares = box_mean(_cell_means(cells * cells, step), cell_radius)
    variance = (squares - mean * mean).clamp(min=0).mean(dim=1, keepdim=True)
    slope = variance / (variance + contrast)
    slope_and_offset = box_mean(torch.cat((slope, (1 - slope) * mean), dim=1), cell_radius)
    if step > 1:
        fine = functional.interpolate(slope_and_offset, scale_factor=step, mode="bilinear", align_corners=False)
        slope_and_offset = fine[..., :height, :width]
    return slope_and_offset[:, :1] * image + slope_and_offset[:, 1:]


def _cell_means(image: Tensor, step: int) -> Tensor:
    """Means over cells of step x step pixels."""
    return functional.avg_pool2d(image, step) if step > 1 else image
