"""Listings of the user's folders, which a command makes once."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


class Listings:
    """What the user's folders contain: listed at each use, so that nothing is out of date, or once while held."""

    def __init__(self) -> None:
        self._held: dict[Hashable, Any] | None = None

    def get(self, name: Hashable, make: Callable[[], T]) -> T:
        """Return what ``make`` lists; while held, what the first call of this name listed."""
        if self._held is None:
            return make()
        if name not in self._held:
            self._held[name] = make()
        held: T = self._held[name]
        return held

    @contextmanager
    def hold(self) -> Iterator[None]:
        """List each folder once within the context; a file that a person adds meanwhile is not seen."""
        before, self._held = self._held, {}
        try:
            yield
        finally:
            self._held = before
