"""Progress bars and log lines on the console."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

log = logging.getLogger(__name__)


class ConsoleHandler(logging.Handler):
    """Prints each record as one line, however long, through the console that also draws the progress bars."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record."""
        from rich import get_console
        from rich.text import Text

        level = Text(f"{record.levelname:<8} ", style=f"logging.level.{record.levelname.lower()}")
        try:
            get_console().print(level + Text(self.format(record)), soft_wrap=True)
        except Exception:
            self.handleError(record)


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
    from rich import get_console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    console = get_console()
    shown = console.is_terminal or console.is_jupyter  # elsewhere, a finished bar would leave an empty line
    with Progress(*columns, console=console, transient=True, disable=not shown) as progress:
        yield Bar(progress, progress.add_task(title, total=total, rate="", note=""))
