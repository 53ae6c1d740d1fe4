"""A map from colours to painted colours, fitted in closed form: what a style does to colour, without its strokes."""

from collections.abc import Iterable
from itertools import combinations_with_replacement

import torch
from torch import Tensor, nn
from torch.nn import functional

CHUNK = 2**16
"""Pixels whose monomials are held at once."""


class ColourMap(nn.Module):
    """A polynomial of a pixel's colour and its surroundings' mean colours, fitted by ridge regression.

    It begins as the identity; its coefficients are buffers, so that they travel with a checkpoint and no optimiser
    changes them.

    Args:
        degree: Of the polynomial in the pixel's colour; that of its products with the first mean is at most 2.
        radii: Of the squares that means are taken over, in pixels; those after the first enter linearly.
        ridge: Weight of the squared coefficients, as a share of the number of pixels.
    """

    coefficients: Tensor

    def __init__(self, *, degree: int = 3, radii: tuple[int, ...] = (2, 8), ridge: float = 1e-5) -> None:
        super().__init__()
        self.degree, self.radii, self.ridge = degree, tuple(radii), ridge
        curved = 3 + 3 * bool(self.radii)
        self.linear = 3 * max(0, len(self.radii) - 1)
        self.products = [
            chosen
            for order in range(degree + 1)
            for chosen in combinations_with_replacement(range(curved if order < 3 else 3), order)
        ]
        self.register_buffer("coefficients", self._identity())

    @property
    def margin(self) -> int:
        """Radius in pixels of what an output pixel depends on."""
        return max(self.radii, default=0)

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 3, H, W) in -1..1 to (B, 3, H, W), clipped to -1..1, in float32."""
        seen = self._seen(image)  # (B, F, H, W)
        pixels = seen.permute(0, 2, 3, 1).flatten(0, 2)
        mapped = torch.cat([self._monomials(part) @ self.coefficients for part in pixels.split(CHUNK)])
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
            for part, colours in zip(rows.split(CHUNK), wanted.split(CHUNK), strict=True):
                monomials = self._monomials(part).double()
                squares += monomials.T @ monomials
                targets += monomials.T @ colours.double()
            pixels += len(rows)
        # Towards the identity, not towards grey, where the keyframes say little.
        prior = self.ridge * pixels * torch.eye(count, dtype=torch.float64, device=device)
        solution = torch.linalg.solve(squares + prior, targets + prior @ self._identity().to(device).double())
        self.coefficients.copy_(solution)

    def _identity(self) -> Tensor:
        identity = torch.zeros(len(self.products) + self.linear, 3)
        for channel in range(3):
            identity[self.products.index((channel,)), channel] = 1
        return identity

    def _seen(self, image: Tensor) -> Tensor:
        """A pixel's colour and the means around it, (B, 3 + 3 per radius, H, W) float32."""
        image = image.float()
        return torch.cat((image, *(_mean(image, radius) for radius in self.radii)), dim=1)

    def _monomials(self, seen: Tensor) -> Tensor:
        """(N, F) to (N, M): all products up to the degree, then what enters linearly."""
        known: dict[tuple[int, ...], Tensor] = {(): torch.ones_like(seen[:, 0])}
        columns = list(seen.T.contiguous())
        for chosen in self.products[1:]:
            known[chosen] = known[chosen[:-1]] * columns[chosen[-1]]
        return torch.stack([*known.values(), *columns[len(columns) - self.linear :]], dim=1)


def _mean(image: Tensor, radius: int) -> Tensor:
    """Mean over a square of side 2 radius + 1, over what of it lies inside the picture."""
    side = 2 * radius + 1
    rows = functional.avg_pool2d(image, (side, 1), stride=1, padding=(radius, 0), count_include_pad=False)
    return functional.avg_pool2d(rows, (1, side), stride=1, padding=(0, radius), count_include_pad=False)
