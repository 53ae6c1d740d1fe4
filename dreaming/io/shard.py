"""Shares of a clip's frames, each made by another process."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

Work = Callable[[list[str]], None]
"""Makes the named frames and writes them to where they belong."""


@dataclass(frozen=True)
class Shard:
    """One share of the frames: the ``index``-th of ``count`` stretches of neighbours, from 1.

    Of every n-th frame alone, a stage that looks around would have to make or read all those between, too.
    """

    index: int = 1
    count: int = 1

    def take(self, stems: Sequence[str]) -> list[str]:
        """The names that fall to this share."""
        first, last = (len(stems) * number // self.count for number in (self.index - 1, self.index))
        return list(stems[first:last])

    def __str__(self) -> str:
        return f"{self.index}-of-{self.count}"


def undivided(stems: list[str], work: Work) -> None:
    """Do a work on these frames in this process, as one share."""
    work(stems)
