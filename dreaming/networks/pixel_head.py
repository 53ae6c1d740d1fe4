"""Colours made pixel by pixel at full resolution, with steps as sharp as the painter's."""

import math
import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

AT_ONCE = 2**13
"""Pixels whose hidden layers are held at once on a CPU."""

RATE = 3e-3
"""Learning rate of a fit to single pixels at its start."""

PACED = 20
"""Steps of such a fit from which is told how many there is time for."""


class PixelHead(nn.Module):
    """A small network that sees one pixel: its features, and some of its colours as waves too.

    Flat patches with sharp borders, as posterisation makes them, are steep functions of colour; a network finds those
    only if its inputs change fast with colour: Tancik et al., "Fourier Features Let Networks Learn High Frequency
    Functions" (2020), equation 5 with one frequency an octave. Its output begins as zero.

    Args:
        channels: Of the features.
        colours: Of those that become waves.
        width: Channels of its two hidden layers.
        frequencies: Waves, in half periods over half the range of colours.
    """

    def __init__(self, *, channels: int, colours: int, width: int, frequencies: Sequence[float]) -> None:
        super().__init__()
        self.frequencies = tuple(frequencies)
        self.enter = nn.Conv2d(channels + 2 * len(self.frequencies) * colours, width, kernel_size=1)
        self.mix = nn.Conv2d(width, width, kernel_size=1)
        self.leave = nn.Conv2d(width, 3, kernel_size=1)
        assert self.leave.bias is not None
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, features: Tensor, colours: Tensor) -> Tensor:
        """Map features (B, C, H, W) and colours (B, c, H, W) in -1..1 to changes of RGB (B, 3, H, W)."""
        if torch.is_grad_enabled() or features.device.type != "cpu" or torch.compiler.is_compiling():
            return self._changes(features, colours)
        # Pixels are independent, and a few rows at once stay in the cache through all layers: a third of the time.
        rows = max(1, AT_ONCE // features.shape[-1])
        parts = zip(torch.split(features, rows, dim=2), torch.split(colours, rows, dim=2), strict=True)
        return torch.cat([self._changes(*part) for part in parts], dim=2)

    def _changes(self, features: Tensor, colours: Tensor) -> Tensor:
        hidden = functional.relu(self.enter(torch.cat((features, *self._waves(colours)), dim=1)))
        changes: Tensor = self.leave(functional.relu(self.mix(hidden)))
        return changes

    def _waves(self, colours: Tensor) -> list[Tensor]:
        """Sine and cosine of each frequency, (B, c, H, W) each; of twice the last one by doubling angles."""
        waves: list[Tensor] = []
        for last, often in zip((0.0, *self.frequencies), self.frequencies, strict=False):
            if often == 2 * last:
                sine, cosine = waves[-2:]
                waves += [2 * sine * cosine, 1 - 2 * sine * sine]
            else:
                waves += [torch.sin(math.pi * often * colours), torch.cos(math.pi * often * colours)]
        return waves

    def fit(
        self,
        features: Tensor,
        colours: Tensor,
        changes: Tensor,
        *,
        steps: int,
        batch: int = 8192,
        until: float | None = None,
    ) -> None:
        """Learn changes of single pixels by Adam on mean absolute differences, the rate falling to zero.

        Args:
            features: (N, C).
            colours: (N, c) in -1..1.
            changes: (N, 3), what is wanted.
            steps: How many.
            batch: Pixels a step, drawn with replacement, the same in every run.
            until: Reading of ``time.monotonic`` by which to end, with fewer steps if need be; None: no such time.
        """
        draw = torch.Generator().manual_seed(0)
        optimizer = torch.optim.Adam(self.parameters(), lr=RATE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        done, begun = 0, time.monotonic()
        with torch.enable_grad():
            while done < steps and (until is None or done < PACED or time.monotonic() < until):
                chosen = torch.randint(len(features), (batch,), generator=draw).to(features.device)
                seen = (rows[chosen].T[None, :, :, None] for rows in (features, colours))  # (1, channels, batch, 1)
                loss = functional.l1_loss(self(*seen), changes[chosen].T[None, :, :, None])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
                done += 1
                if done == 1:  # which takes longer than the others
                    begun = time.monotonic()
                if done == PACED and until is not None:
                    pace = (time.monotonic() - begun) / (PACED - 1)
                    affordable = done + max(0, int((until - time.monotonic()) / pace))
                    schedule.T_max = steps = min(steps, affordable)
        optimizer.zero_grad()
