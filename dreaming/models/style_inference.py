"""Inference of style generators on frames of any size: whole or in tiles, in half precision on a GPU."""

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
    """Fold batch normalisations into the convolutions before them, in place and for inference only.

    The result is the same up to rounding. A normalisation before a convolution stays, because zero padding comes
    between them.
    """
    for part in network.modules():
        if not isinstance(part, nn.Sequential):
            continue
        for index in range(len(part) - 1):
            convolution, norm = part[index], part[index + 1]
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                part[index] = fuse_conv_bn_eval(convolution.eval(), norm.eval())
                part[index + 1] = nn.Identity()


def compile_and_warm_up(network: nn.Module, run: Callable[[Tensor], Tensor], example: Tensor) -> None:
    """Compile a network in place and run it once on a batch like the frames; if this fails, warn and use it uncompiled.

    Args:
        network: The network.
        run: Runs the network as on frames.
        example: A batch with the shape, type and device of the frames.
    """
    log.info("compiling the network for %s, which may take minutes", "x".join(map(str, example.shape)))
    start = time.monotonic()
    network.forward = torch.compile(network.forward)
    try:
        run(example)
    except Exception as error:  # compilers raise errors of any type
        del network.forward
        # An error without compilation has another cause and is raised.
        run(example)
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        log.warning("the network cannot be compiled on this machine and runs uncompiled: %s", reason[:200])
    else:
        log.debug("compiled in %.0f s", time.monotonic() - start)


MIN_TILE = 128
"""Minimum side of a tile in pixels; in smaller ones the overlap takes most of the computation."""


class ReceptiveField(Protocol):
    """A generator's receptive field and sampling grid in pixels."""

    @property
    def margin(self) -> int:
        """Radius of the receptive field."""

    @property
    def multiple(self) -> int:
        """Sampling grid: tiles that start on it see the same grid as the whole frame."""


def in_suited_precision(run: Callable[[Tensor], Tensor], frame: Tensor) -> Tensor:
    """Run in half precision on a GPU, unless another autocast is active."""
    kind = frame.device.type
    half = kind == "cuda" and not torch.is_autocast_enabled(kind)
    with torch.autocast(kind, dtype=torch.float16) if half else nullcontext():
        return run(frame)


def whole_or_tiled(
    run: Callable[[Tensor], Tensor], field: ReceptiveField, frame: Tensor, *, tile: int | None, overlap: int | None
) -> Tensor:
    """Stylise frames and guides (B, 3 + c, H, W) in -1..1, in tiles of side ``tile`` if they are larger than one.

    ``overlap`` are the pixels computed around a tile and discarded; None: the generator's margin, with which tiles
    equal whole frames.
    """
    size = (frame.shape[-2], frame.shape[-1])
    if tile is None or tile >= max(size):
        return run(frame)
    grid = field.multiple
    # Rounded up, so that tiles start on the sampling grid of the whole frame.
    around = -(-(field.margin if overlap is None else overlap) // grid) * grid

    def tile_of(origin: tuple[int, int], extent: Size) -> Tensor:
        """Stylise a region with its surroundings."""
        (top, left), (height, width) = origin, extent
        up, before = min(around, top), min(around, left)
        part = frame[..., top - up : top + height + around, left - before : left + width + around]
        return run(part)[..., up : up + height, before : before + width]

    return tiled(tile_of, size, tile, overlap=0, multiple=grid)


def in_fitting_tiles(
    run: Callable[[Tensor], Tensor], field: ReceptiveField, frame: Tensor, *, tile: int | None, overlap: int | None
) -> tuple[Tensor, int | None]:
    """Like ``whole_or_tiled``, but halve the tiles and warn whenever the device runs out of memory.

    Return the stylised frames, and the side of the tiles that fit; None for whole frames. ``OutOfMemoryError`` if even
    the smallest tiles do not fit.
    """
    while True:
        try:
            return whole_or_tiled(run, field, frame, tile=tile, overlap=overlap), tile
        except torch.OutOfMemoryError:
            side = min(tile or max(frame.shape[-2:]), max(frame.shape[-2:]))
            if side <= MIN_TILE:
                raise
        # Outside of the handler, because the error keeps references to the memory.
        torch.cuda.empty_cache()
        tile = max(MIN_TILE, -(-side // 2))
        height, width = frame.shape[-2:]
        log.warning(
            "out of memory on frames of %dx%d pixels in tiles of %d; continuing with model.style.module.tile=%d",
            width, height, side, tile,
        )  # fmt: skip
