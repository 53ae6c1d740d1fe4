"""One progress bar a stage, and one line when it is done."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

log = logging.getLogger(__name__)


class Bar:
    """A running progress bar.

    Attributes:
        done: Steps done so far.
        started: Monotonic time of its start, in seconds.
    """

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task
        self.done, self.started = 0, time.monotonic()

    @property
    def seconds(self) -> float:
        """Wall time since its start."""
        return time.monotonic() - self.started

    def skip(self, steps: int) -> None:
        """Start at a later place: what an earlier run has done."""
        self._progress.update(self._task, advance=steps)

    def advance(self, note: str = "") -> None:
        """One step further; ``note`` stands at the end of the bar."""
        self.done += 1
        rate = f"{self.done / max(self.seconds, 1e-9):.1f}/s"
        self._progress.update(self._task, advance=1, rate=rate, note=note)


@contextmanager
def bar(title: str, total: int) -> Iterator[Bar]:
    """Show a bar with count, steps a second and time left while the block runs; log nothing."""
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, transient=True) as progress:
        yield Bar(progress, progress.add_task(title, total=total, rate="", note=""))
