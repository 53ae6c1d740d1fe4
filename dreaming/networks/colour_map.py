"""A map from colours to painted colours, fitted in closed form: a style without its strokes."""

from collections.abc import Iterable, Sequence
from itertools import combinations_with_replacement

import torch
from torch import Tensor, nn
from torch.nn import functional

CHUNK = 2**16
"""Pixels whose monomials are held at once."""


class ColourMap(nn.Module):
    """A polynomial of a pixel's colour and its surroundings', fitted by ridge regression.

    Painters leave grain out and keep edges, so the surroundings are seen by edge-preserving means of growing radius,
    one over the other; and by a plain mean, for what is near. It begins as the identity; its coefficients are buffers,
    so that they travel with a checkpoint and no optimiser changes them.

    Args:
        degree: Of the polynomial in the pixel's colour; that of its products with the smoothed one is at most 2.
        radii: Of the squares of the edge-preserving means, in pixels.
        contrast: Variance of colours in -1..1 from which on an edge-preserving mean takes something for an edge.
        surroundings: Radius of the square of the plain mean, in pixels, which enters linearly.
        ridge: Weight of the squared coefficients' distance from the identity's, as a share of the number of pixels.
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
            chosen
            for order in range(degree + 1)
            for chosen in combinations_with_replacement(range(6 if order < 3 else 3), order)
        ]
        self.register_buffer("coefficients", self._identity())

    @property
    def margin(self) -> int:
        """Radius in pixels of what an output pixel depends on."""
        return max(sum(map(reach, self.radii)), self.surroundings)

    @property
    def multiple(self) -> int:
        """Tiles that start at multiples of this many pixels see the same cells as the whole picture."""
        return max(map(sampling_step, self.radii), default=1)

    @torch.no_grad()
    def forward(self, image: Tensor, smooth: Tensor | None = None) -> Tensor:
        """Map (B, 3, H, W) in -1..1 to (B, 3, H, W), clipped to -1..1, in float32.

        Args:
            image: The picture.
            smooth: What ``smoothed`` makes of it, where that is known.
        """
        seen = self._seen(image, smooth)  # (B, 9, H, W)
        pixels = seen.permute(0, 2, 3, 1).flatten(0, 2)
        mapped = torch.cat([self._monomials(part) @ self.coefficients for part in torch.split(pixels, CHUNK)])
        return mapped.view(len(image), *image.shape[-2:], 3).permute(0, 3, 1, 2).clamp(-1, 1)

    @torch.no_grad()
    def fit(self, pictures: Iterable[tuple[Tensor, Tensor, Tensor]]) -> None:
        """Fit to painted pictures; holds one of them at a time, and the monomials of few pixels.

        Args:
            pictures: Image (3, H, W) and painted image (3, H, W) in -1..1, pixels to learn from (1, H, W) bool.
        """
        count, device = len(self.coefficients), self.coefficients.device
        squares = torch.zeros(count, count, dtype=torch.float64, device=device)
        targets = torch.zeros(count, 3, dtype=torch.float64, device=device)
        pixels = 0
        for picture in pictures:
            image, target, mask = (part.to(device) for part in picture)
            known = mask.flatten()
            rows = self._seen(image[None])[0].flatten(1).T[known]
            wanted = target.flatten(1).T[known]
            for part, colours in zip(torch.split(rows, CHUNK), torch.split(wanted, CHUNK), strict=True):
                monomials = self._monomials(part).double()
                squares += monomials.T @ monomials
                targets += monomials.T @ colours.double()
            pixels += len(rows)
        # Towards the identity, not towards grey, where the keyframes say little.
        prior = self.ridge * pixels * torch.eye(count, dtype=torch.float64, device=device)
        solution = torch.linalg.solve(squares + prior, targets + prior @ self._identity().to(device).double())
        self.coefficients.copy_(solution)

    def smoothed(self, image: Tensor) -> Tensor:
        """A picture (B, 3, H, W) in -1..1 without its grain, alike."""
        smooth = image.float()
        for radius in self.radii:
            smooth = edge_preserving_mean(smooth, radius, self.contrast)
        return smooth

    def _identity(self) -> Tensor:
        identity = torch.zeros(len(self.products) + 3, 3)
        for channel in range(3):
            identity[self.products.index((channel,)), channel] = 1
        return identity

    def _seen(self, image: Tensor, smooth: Tensor | None = None) -> Tensor:
        """A pixel's colour, the smoothed one and the mean around it, (B, 9, H, W) float32."""
        image = image.float()
        smooth = self.smoothed(image) if smooth is None else smooth
        return torch.cat((image, smooth, mean(image, self.surroundings)), dim=1)

    def _monomials(self, seen: Tensor) -> Tensor:
        """(N, 9) to (N, M): all products up to the degree, then what enters linearly."""
        known: dict[tuple[int, ...], Tensor] = {(): torch.ones_like(seen[:, 0])}
        columns = list(seen.T.contiguous())
        for chosen in self.products[1:]:
            known[chosen] = known[chosen[:-1]] * columns[chosen[-1]]
        return torch.stack([*known.values(), *columns[6:]], dim=1)


def mean(image: Tensor, radius: int) -> Tensor:
    """Mean of (B, C, H, W) over squares of side 2 radius + 1, over what of them lies inside the picture."""
    return _running_mean(_running_mean(image, radius, -2), radius, -1)


def _running_mean(image: Tensor, radius: int, axis: int) -> Tensor:
    """Mean along one axis, as differences of cumulative sums: the time does not grow with the radius."""
    length = image.shape[axis]
    sums = image.cumsum(axis)
    sums = torch.cat((torch.zeros_like(sums.narrow(axis, 0, 1)), sums), dim=axis)
    places = torch.arange(length, device=image.device)
    first, behind = (places - radius).clamp(min=0), (places + radius + 1).clamp(max=length)
    count = (behind - first).to(image.dtype)
    counts = count[:, None] if axis == -2 else count
    return (sums.index_select(axis, behind) - sums.index_select(axis, first)) / counts


def sampling_step(radius: int) -> int:
    """Pixels of the grid on which an edge-preserving mean finds its coefficients: a power of two up to radius / 4."""
    return 1 << max(0, (radius // 4).bit_length() - 1)


def reach(radius: int) -> int:
    """How far an edge-preserving mean sees, in pixels."""
    step = sampling_step(radius)
    return 2 * radius if step == 1 else 2 * (radius // step) * step + 2 * step


def edge_preserving_mean(image: Tensor, radius: int, contrast: float) -> Tensor:
    """The guided filter with the picture as its own guide, its channels sharing the variance.

    He et al., "Guided Image Filtering" (2013), equations 5, 6 and 8; where squares are large, its coefficients are
    found on a coarser grid, as in He and Sun, "Fast Guided Filter" (2015), which changes next to nothing.

    Args:
        image: (B, C, H, W).
        radius: Of its squares, in pixels.
        contrast: Variance that counts as much as none, its epsilon.
    """
    step, (height, width) = sampling_step(radius), image.shape[-2:]
    cells = functional.pad(image, (0, -width % step, 0, -height % step), mode="replicate") if step > 1 else image
    cells_reach = radius // step
    around = mean(_cell_means(cells, step), cells_reach)
    variance = (
        (mean(_cell_means(cells * cells, step), cells_reach) - around * around).clamp(min=0).mean(dim=1, keepdim=True)
    )
    kept = variance / (variance + contrast)
    slope_and_offset = mean(torch.cat((kept, (1 - kept) * around), dim=1), cells_reach)
    if step > 1:
        fine = functional.interpolate(slope_and_offset, scale_factor=step, mode="bilinear", align_corners=False)
        slope_and_offset = fine[..., :height, :width]
    return slope_and_offset[:, :1] * image + slope_and_offset[:, 1:]


def _cell_means(image: Tensor, step: int) -> Tensor:
    """Means over cells of step x step pixels."""
    return functional.avg_pool2d(image, step) if step > 1 else image
