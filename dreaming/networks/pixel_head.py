"""A pixel-wise network that predicts colours with sharp steps, as in posterised paintings."""

import math
import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

CHUNK = 2**13
"""Pixels per forward pass on a CPU."""

LEARNING_RATE = 3e-3
"""Initial learning rate of ``fit``."""

TIMED_STEPS = 20
"""Steps after which ``fit`` estimates how many steps the remaining time allows."""


class PixelHead(nn.Module):
    """A small network of 1x1 convolutions on features and on Fourier features of colours.

    Flat areas with sharp borders, as in posterised paintings, are steep functions of colour. A network approximates
    them only if its inputs change fast with colour: Tancik et al., "Fourier Features Let Networks Learn High Frequency
    Functions" (2020), equation 5 with one frequency per octave, in half periods over half the range of colours. The
    initial output is zero.
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
        # Pixels are independent. A few rows at a time stay in the CPU's cache through all layers: a third of the time.
        rows = max(1, CHUNK // features.shape[-1])
        parts = zip(torch.split(features, rows, dim=2), torch.split(colours, rows, dim=2), strict=True)
        return torch.cat([self._changes(*part) for part in parts], dim=2)

    def _changes(self, features: Tensor, colours: Tensor) -> Tensor:
        hidden = functional.relu(self.enter(torch.cat((features, *self._waves(colours)), dim=1)))
        changes: Tensor = self.leave(functional.relu(self.mix(hidden)))
        return changes

    def _waves(self, colours: Tensor) -> list[Tensor]:
        """Sine and cosine of each frequency, (B, c, H, W) each; octaves by the double-angle formulas."""
        waves: list[Tensor] = []
        for last, frequency in zip((0.0, *self.frequencies), self.frequencies, strict=False):
            if frequency == 2 * last:
                sine, cosine = waves[-2:]
                waves += [2 * sine * cosine, 1 - 2 * sine * sine]
            else:
                waves += [torch.sin(math.pi * frequency * colours), torch.cos(math.pi * frequency * colours)]
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
        """Train on single pixels with Adam, mean absolute error and a cosine schedule.

        Args:
            features: (N, C).
            colours: (N, c) in -1..1.
            changes: Targets (N, 3).
            steps: Training steps.
            batch: Pixels per step, drawn with replacement; the draws are the same in every run.
            until: Value of ``time.monotonic`` at which to stop, after fewer steps if necessary; None: no time limit.
        """
        rng = torch.Generator().manual_seed(0)
        optimizer = torch.optim.Adam(self.parameters(), lr=LEARNING_RATE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        done, started = 0, time.monotonic()
        with torch.enable_grad():
            while done < steps and (until is None or done < TIMED_STEPS or time.monotonic() < until):
                index = torch.randint(len(features), (batch,), generator=rng).to(features.device)
                inputs = (rows[index].T[None, :, :, None] for rows in (features, colours))  # (1, channels, batch, 1)
                loss = functional.l1_loss(self(*inputs), changes[index].T[None, :, :, None])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                done += 1
                if done == 1:  # the first step is slower than the others
                    started = time.monotonic()
                if done == TIMED_STEPS and until is not None:
                    seconds = (time.monotonic() - started) / (TIMED_STEPS - 1)
                    affordable = done + max(0, int((until - time.monotonic()) / seconds))
                    schedule.T_max = steps = min(steps, affordable)
        optimizer.zero_grad()
