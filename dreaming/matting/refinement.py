"""The methods by which a soft mask becomes an alpha matte."""

from collections.abc import Iterable, Iterator
from functools import partial
from math import ceil, sqrt
from typing import Literal

from joblib import Parallel, delayed

from dreaming.io.prefetch import prefetch_map
from dreaming.io.types import Image, Probability
from dreaming.matting.guided import refine_guided
from dreaming.matting.laplacian import refine_laplacian
from dreaming.matting.trimap import make_trimap, with_certain_sides

MatteMethod = Literal["none", "guided", "closed_form", "knn"]

FrameMask = tuple[str, Image, Probability]
"""A frame's name, the frame (H, W, 3), and its mask (H, W) in 0..1."""


def refine(image: Image, probability: Probability, method: MatteMethod, band: float) -> Probability:
    """Return the alpha matte (H, W) in 0..1 of a frame (H, W, 3) with a mask (H, W) in 0..1.

    Args:
        image: RGB.
        probability: The mask.
        method: How unknown pixels are solved for; ``none`` leaves their probability.
        band: Width of the band of unknown pixels around the outline and uncertain pixels, as a share of the root of
            the frame's area.
    """
    if method == "none":
        return probability
    pixels = ceil(band * sqrt(probability.size))
    probability = with_certain_sides(probability, pixels)
    trimap = make_trimap(probability, pixels)
    if method == "guided":
        return refine_guided(image, probability, trimap)
    return refine_laplacian(image, probability, trimap, method)


def refine_all(
    frames: Iterable[FrameMask], method: MatteMethod, band: float, workers: int
) -> Iterator[tuple[str, tuple[Image, Probability]]]:
    """Yield each frame's name, and the frame with its matte, in order.

    ``guided`` runs in threads, since OpenCV does not hold Python's lock; the other methods run in processes.
    """
    if method in ("none", "guided") or workers == 1:
        yield from prefetch_map(partial(_with_matte, method=method, band=band), frames, workers)
        return
    pool = Parallel(n_jobs=workers, return_as="generator")
    yield from pool(delayed(_with_matte)(frame, method, band) for frame in frames)


def _with_matte(frame: FrameMask, method: MatteMethod, band: float) -> tuple[str, tuple[Image, Probability]]:
    return frame[0], (frame[1], refine(*frame[1:], method, band))
