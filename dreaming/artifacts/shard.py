"""Shards: shares of a clip's frames, one for each process."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

Work = Callable[[list[str]], None]
"""Makes the named frames and writes them."""


@dataclass(frozen=True)
class Shard:
    """The ``index``-th of ``count`` intervals of neighbouring frames, counted from 1.

    An interval, because a stage with a temporal window would have to read the frames between every n-th one too.
    """

    index: int = 1
    count: int = 1

    def take(self, stems: Sequence[str]) -> list[str]:
        """Return the names in this shard."""
        first, last = (len(stems) * number // self.count for number in (self.index - 1, self.index))
        return list(stems[first:last])

    def __str__(self) -> str:
        return f"{self.index}-of-{self.count}"


def undivided(stems: list[str], work: Work) -> None:
    """Run the work on all frames in this process."""
    work(stems)
