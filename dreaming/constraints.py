"""Ranges of parameters, declared in annotations where the value is used and checked when a config is built.

``Annotated[float, Range(gt=0)]`` is an ordinary ``float`` to a type checker. pydantic understands the metadata, because
``Range`` follows the interface of the annotated-types package without importing it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal


@dataclass(frozen=True)
class Range:
    """Bounds of a number; None means no bound. NaN and infinity are outside every range."""

    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None
    __is_annotated_types_grouped_metadata__: Literal[True] = True

    def __iter__(self) -> Iterator[Any]:
        """Yield the bounds as annotated-types metadata."""
        import annotated_types

        for kind, bound in (
            (annotated_types.Gt, self.gt),
            (annotated_types.Ge, self.ge),
            (annotated_types.Lt, self.lt),
            (annotated_types.Le, self.le),
        ):
            if bound is not None:
                yield kind(bound)


LARGEST_INT = 10**9
"""Fits into the 32-bit integers of OpenCV and ffmpeg."""

LARGEST_FLOAT = 1e6
"""No parameter has a meaning beyond; sums and squares of such numbers stay finite in float32."""

PositiveInt = Annotated[int, Range(ge=1, le=LARGEST_INT)]
NonNegativeInt = Annotated[int, Range(ge=0, le=LARGEST_INT)]
PositiveFloat = Annotated[float, Range(gt=0, le=LARGEST_FLOAT)]
NonNegativeFloat = Annotated[float, Range(ge=0, le=LARGEST_FLOAT)]
UnitFloat = Annotated[float, Range(ge=0, le=1)]
"""A share or a probability."""
LearningRate = Annotated[float, Range(gt=0, le=100)]
Sigma = Annotated[float, Range(ge=0, le=1000)]
"""Standard deviation of a Gaussian blur in pixels; 0: none. The filter's size, and so its time, grow with it."""
Seed = Annotated[int, Range(ge=0, le=2**32 - 1)]
"""What NumPy and torch both accept."""
BatchSize = Annotated[int, Range(ge=1, le=4096)]
"""Crops, patches or frames that are in memory at once, several times."""
Workers = Annotated[int, Range(ge=1, le=1024)]
"""Threads or processes."""
Channels = Annotated[int, Range(ge=1, le=4096)]
"""Channels of a network's layer; the memory for weights grows with the square."""
Depth = Annotated[int, Range(ge=1, le=32)]
"""Layers or levels of a network; some double the distance between pixels that they combine."""
KernelSize = Annotated[int, Range(ge=1, le=255)]
"""Side of a convolution's kernel in pixels."""
Iterations = Annotated[int, Range(ge=1, le=1000)]
"""Repetitions of a step on each frame, which more do not improve."""
ImageSide = Annotated[int, Range(ge=1, le=16384)]
"""Height or width of a picture in pixels; libx264 encodes no larger ones."""
