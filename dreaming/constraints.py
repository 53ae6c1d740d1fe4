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


PositiveInt = Annotated[int, Range(ge=1)]
NonNegativeInt = Annotated[int, Range(ge=0)]
PositiveFloat = Annotated[float, Range(gt=0)]
NonNegativeFloat = Annotated[float, Range(ge=0)]
UnitFloat = Annotated[float, Range(ge=0, le=1)]
"""A share or a probability."""
