"""Running a style generator over frames of any size: whole or in tiles, in the precision that suits the device."""

import logging
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from dreaming.io.types import Size
from dreaming.models.tiling import tiled

log = logging.getLogger(__name__)


def fold_normalisation(network: nn.Module) -> None:
    """Draw every batch normalisation that follows a convolution into its weights, in place; for inference only.

    The result is the same up to rounding. One that stands before a convolution stays: zero padding comes between them.
    """
    for part in network.modules():
        if not isinstance(part, nn.Sequential):
            continue
        for place in range(len(part) - 1):
            convolution, norm = part[place], part[place + 1]
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                part[place] = fuse_conv_bn_eval(convolution.eval(), norm.eval())
                part[place + 1] = nn.Identity()


def compile_and_warm_up(network: nn.Module, run: Callable[[Tensor], Tensor], example: Tensor) -> None:
    """Compile a network in place and run it once, so that the first frame takes no longer than the next.

    Where it cannot be compiled a warning says why, and it runs as it is.

    Args:
        network: What is compiled.
        run: Runs the network, as it will be run on frames.
        example: A batch of the frames' shape, type and device.
    """
    log.info("the network is compiled for %s, which may take minutes", "x".join(map(str, example.shape)))
    begun = time.monotonic()
    network.forward = torch.compile(network.forward)
    try:
        run(example)
    except Exception as error:  # what compilers raise has no common type
        del network.forward
        # What fails uncompiled, too, is no matter of compiling, and is raised.
        run(example)
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        log.warning("the network cannot be compiled on this machine and runs uncompiled: %s", reason[:200])
    else:
        log.info("compiled and run once in %.0f s", time.monotonic() - begun)


SMALLEST_TILE = 128
"""Pixels of a tile's side below which what lies around it costs many times what it shows."""


class ReceptiveField(Protocol):
    """What a generator says about itself: how far it sees, and the grid it samples on, in pixels."""

    @property
    def margin(self) -> int:
        """Radius of the receptive field."""

    @property
    def multiple(self) -> int:
        """Tiles that start at multiples of this see the same grid as the whole frame."""


def in_suited_precision(run: Callable[[Tensor], Tensor], frame: Tensor) -> Tensor:
    """Run in half precision on a GPU; a precision that the trainer has set for this block goes first."""
    kind = frame.device.type
    half = kind == "cuda" and not torch.is_autocast_enabled(kind)
    with torch.autocast(kind, dtype=torch.float16) if half else nullcontext():
        return run(frame)


def whole_or_tiled(
    run: Callable[[Tensor], Tensor], reach: ReceptiveField, frame: Tensor, *, tile: int | None, overlap: int | None
) -> Tensor:
    """Stylise frames (B, 3 + c, H, W), in tiles where they are larger than one.

    Args:
        run: The generator.
        reach: What it says of itself.
        frame: Frames and guides in -1..1.
        tile: Side of a tile in pixels; None: whole frames.
        overlap: Pixels around a tile that are computed with it and thrown away; None: the generator's margin, which
            makes tiles equal to whole frames.
    """
    size = (frame.shape[-2], frame.shape[-1])
    if tile is None or tile >= max(size):
        return run(frame)
    grid = reach.multiple
    # Rounded up, so that a tile begins on the sampling grid of the whole frame.
    around = -(-(reach.margin if overlap is None else overlap) // grid) * grid

    def tile_of(origin: tuple[int, int], extent: Size) -> Tensor:
        """A region of the stylised frame, computed with what lies around it."""
        (top, left), (height, width) = origin, extent
        up, before = min(around, top), min(around, left)
        seen = frame[..., top - up : top + height + around, left - before : left + width + around]
        return run(seen)[..., up : up + height, before : before + width]

    return tiled(tile_of, size, tile, overlap=0, multiple=grid)


def in_fitting_tiles(
    run: Callable[[Tensor], Tensor], reach: ReceptiveField, frame: Tensor, *, tile: int | None, overlap: int | None
) -> tuple[Tensor, int | None]:
    """As ``whole_or_tiled``, with tiles half as wide as often as the device's memory runs out; a warning says so.

    Returns:
        The stylised frames, and the side of the tiles that fit; None for whole frames.

    Raises:
        OutOfMemoryError: If even the smallest tiles do not fit.
    """
    while True:
        try:
            return whole_or_tiled(run, reach, frame, tile=tile, overlap=overlap), tile
        except torch.OutOfMemoryError:
            side = min(tile or max(frame.shape[-2:]), max(frame.shape[-2:]))
            if side <= SMALLEST_TILE:
                raise
        # Outside of the handler, for the error holds on to what is to be freed.
        torch.cuda.empty_cache()
        tile = max(SMALLEST_TILE, -(-side // 2))
        height, width = frame.shape[-2:]
        log.warning(
            "memory does not hold frames of %dx%d in tiles of %d pixels: in tiles of %d from now on"
            " (model.style.module.tile=%d says so at once)", width, height, side, tile, tile,
        )  # fmt: skip
