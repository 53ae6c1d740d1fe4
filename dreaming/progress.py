"""Progress bars."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

log = logging.getLogger(__name__)


class Bar:
    """A running progress bar.

    Attributes:
        done: Steps done so far.
        started: Monotonic time of its start, in seconds.
    """

    def __init__(self, progress: "Progress", task: "TaskID") -> None:
        self._progress, self._task = progress, task
        self.done, self.started = 0, time.monotonic()

    @property
    def seconds(self) -> float:
        """Wall time since its start, in seconds."""
        return time.monotonic() - self.started

    def skip(self, steps: int) -> None:
        """Count steps that another process or run has done."""
        self._progress.update(self._task, advance=steps)

    def advance(self, note: str = "") -> None:
        """Advance by one step; ``note`` is shown at the end of the bar."""
        self.done += 1
        rate = f"{self.done / max(self.seconds, 1e-9):.1f}/s"
        self._progress.update(self._task, advance=1, rate=rate, note=note)


@contextmanager
def bar(title: str, total: int) -> Iterator[Bar]:
    """Show a bar with count, steps per second and remaining time while the block runs."""
    # Imported here, because training code has to run where rich is not installed.
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

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
