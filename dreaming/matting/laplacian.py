"""Closed-form and KNN matting by PyMatting, on tiles along the band of unknown pixels."""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.errors import ConfigError
from dreaming.io.types import Image, Probability
from dreaming.matting.trimap import UNKNOWN

CELL, MARGIN = 160, 32
"""Side of a tile, and what is solved around it in addition, in pixels."""

CERTAINTY, PRIOR = 100.0, 0.01
"""Weights of known pixels, and of unknown pixels' probabilities; in PyMatting, the latter have none."""


def check_installed(method: str) -> None:
    """Check that PyMatting is installed.

    Raises:
        ConfigError: If it is not.
    """
    if find_spec("pymatting") is None:
        raise ConfigError(
            "matte",
            found=f"{method}, without the package pymatting",
            expected="pymatting for closed_form and knn",
            hint="pip install 'dreaming[matting]', or use matte=guided",
        )


def refine_laplacian(
    image: Image, probability: Probability, trimap: Probability, method: Literal["closed_form", "knn"]
) -> Probability:
    """Solve for the opacity (H, W) of unknown pixels, by closed-form (Levin 2006) or KNN matting (Chen 2013).

    Args:
        image: (H, W, 3) RGB.
        probability: The mask, (H, W) in 0..1, to which unknown pixels are drawn.
        trimap: (H, W).
        method: Which Laplacian matrix says that pixels have similar opacity.
    """
    alpha = trimap.copy()
    for core, window, inner in _tiles(trimap):
        alpha[core] = _solve(image[window], probability[window], trimap[window], method)[inner]
    return np.where(trimap == UNKNOWN, alpha, trimap)


def _tiles(trimap: Probability) -> Iterator[tuple[Any, Any, Any]]:
    """Yield slices of each tile with unknown pixels, of it with its margin, and of the tile within the latter."""
    left, top, width, height = cv2.boundingRect((trimap == UNKNOWN).view(np.uint8))
    for y in range(top, top + height, CELL):
        for x in range(left, left + width, CELL):
            core = np.s_[y : min(y + CELL, top + height), x : min(x + CELL, left + width)]
            if (trimap[core] == UNKNOWN).any():
                up, before = max(y - MARGIN, 0), max(x - MARGIN, 0)
                window = np.s_[up : core[0].stop + MARGIN, before : core[1].stop + MARGIN]
                inner = np.s_[y - up : core[0].stop - up, x - before : core[1].stop - before]
                yield core, window, inner


def _solve(image: Image, probability: Probability, trimap: Probability, method: str) -> NDArray[np.float32]:
    import pymatting
    from scipy import sparse

    colours = image.astype(np.float64) / 255
    closed = method == "closed_form"
    laplacian = pymatting.cf_laplacian(colours) if closed else pymatting.knn_laplacian(colours)
    unknown = trimap == UNKNOWN
    weights = np.where(unknown, PRIOR, CERTAINTY).ravel()
    system = (laplacian + sparse.diags(weights)).tocsc()
    values = weights * np.where(unknown, probability, trimap).ravel()
    preconditioner = pymatting.ichol(system) if closed else pymatting.jacobi(system)
    solution = pymatting.cg(system, values, M=preconditioner, rtol=1e-5, maxiter=2000)
    return np.clip(solution, 0, 1).astype(np.float32).reshape(trimap.shape)
