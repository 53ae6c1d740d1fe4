"""Pictures with a palette, as in DAVIS 2017 and YouTube-VOS, or black and white: each index but 0 is an object."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from dreaming.errors import MaskError
from dreaming.imports.annotation import Annotation, Annotations
from dreaming.imports.picture import read_indices, read_size
from dreaming.io.types import Mask

VOID = 255
"""Index of pixels that a data set leaves undecided."""

MAX_OBJECTS = 64
"""Objects in all pictures together; a picture that merely has a palette would have more."""


def read_davis(paths: Sequence[Path]) -> Annotations:
    """Read the pictures of one video; the objects are called ``object-1``, ``object-2``, ...

    Raises:
        MaskError: If a picture has other colours, undecided pixels or too many objects.
    """
    objects: list[Annotation] = []
    for path in paths:
        size = read_size(path)
        indices = read_indices(path)
        if indices is None:
            raise MaskError(
                path,
                found="a picture that has no palette and is not black and white",
                expected="an index for each object, as in DAVIS",
            )
        found = [int(index) for index in np.unique(indices) if index]
        if VOID in found:
            raise MaskError(path, found=f"undecided pixels (index {VOID})", expected="0 or an object's index")
        objects += [
            Annotation(f"object-{index}", path.stem, size, f"{path}, index {index}", partial(_draw, path, index))
            for index in found
        ]
        if len({each.label for each in objects}) > MAX_OBJECTS:
            raise MaskError(path, found=f"more than {MAX_OBJECTS} colours", expected="one for each object")
    return Annotations("DAVIS", tuple(objects), dense=tuple(path.stem for path in paths))


def _draw(path: Path, index: int) -> Mask:
    indices = read_indices(path)
    assert indices is not None
    return indices == index
