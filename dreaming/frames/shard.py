"""Shares of a clip's frames, each made by another process."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

Work = Callable[[list[str]], None]
"""Makes the named frames and writes them to where they belong."""


@dataclass(frozen=True)
class Shard:
    """One share of the frames: every ``count``-th, beginning with the ``index``-th from 1."""

    index: int = 1
    count: int = 1

    def take(self, stems: Sequence[str]) -> list[str]:
        """The names that fall to this share."""
        return list(stems[self.index - 1 :: self.count])

    def __str__(self) -> str:
        return f"{self.index}-of-{self.count}"


@dataclass(frozen=True)
class Stretch(Shard):
    """One share of the frames, the ``index``-th of ``count`` stretches of neighbours: for stages that look around."""

    def take(self, stems: Sequence[str]) -> list[str]:
        """The names that fall to this share."""
        first, last = (len(stems) * number // self.count for number in (self.index - 1, self.index))
        return list(stems[first:last])


def undivided(stems: list[str], work: Work) -> None:
    """Do a work on these frames in this process, as one share."""
    work(stems)
