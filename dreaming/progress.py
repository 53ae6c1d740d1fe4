"""Progress bars and log lines on the console."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

log = logging.getLogger(__name__)

LINE_SECONDS_VARIABLE = "DREAMING_LINE_SECONDS"
"""Environment variable by which a program that reads the log shortens ``LINE_SECONDS``."""

LINE_SECONDS = float(os.environ.get(LINE_SECONDS_VARIABLE, "30"))
"""Seconds between two lines of a bar where the output is not a terminal."""


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


@contextmanager
def console_log() -> Iterator[None]:
    """Show records of level info of this package on the console, for programs that Hydra does not run."""
    logger, handler = logging.getLogger(__name__.partition(".")[0]), ConsoleHandler()
    before = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


_step: ContextVar[str] = ContextVar("step", default="")


@contextmanager
def step(number: int, count: int) -> Iterator[None]:
    """Show on all bars inside the block which step of the whole run they belong to, counted from 1."""
    token = _step.set(f"step {number} of {count}, ")
    try:
        yield
    finally:
        _step.reset(token)


class Bar:
    """A running progress bar; where the output is not a terminal, a log line every ``LINE_SECONDS``.

    Attributes:
        done: Steps done so far by this process.
        started: Monotonic time of its start, in seconds.
    """

    def __init__(self, title: str, total: int, progress: "Progress", shown: bool) -> None:
        self.title, self.total, self._progress, self._shown = _step.get() + title, total, progress, shown
        self._task = progress.add_task("", total=total, text=self.title)
        self.done, self.skipped, self.started = 0, 0, time.monotonic()
        self._logged = self.started

    @property
    def seconds(self) -> float:
        """Wall time since its start, in seconds."""
        return time.monotonic() - self.started

    def skip(self, steps: int) -> None:
        """Count steps that another process or run has done."""
        self.skipped += steps
        self._progress.update(self._task, advance=steps)

    def resize(self, total: int) -> None:
        """Change the number of steps of the whole work."""
        self.total = total
        self._progress.update(self._task, total=total)

    def remaining(self, limit: float | None = None) -> float:
        """Seconds that are left at the speed so far; at most ``limit``, and never below 0."""
        estimate = (self.total - self.done - self.skipped) * self.seconds / max(self.done, 1)
        return max(0.0, estimate if limit is None else min(estimate, limit))

    def advance(self, note: str = "", limit: float | None = None) -> None:
        """Advance by one step.

        Args:
            note: Shown at the end of the line, which is cut there if it is too long.
            limit: Seconds after which the work ends in any case; None: no limit.
        """
        self.done += 1
        position = self.done + self.skipped
        note = note or f"{self.done / max(self.seconds, 1e-9):.1f}/s"
        text = f"{self.title}: {position}/{self.total}, {_duration(self.remaining(limit))} left, {note}"
        self._progress.update(self._task, advance=1, text=text)
        if not self._shown and time.monotonic() - self._logged >= LINE_SECONDS:
            self._logged = time.monotonic()
            log.info("%s", text)


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


@contextmanager
def bar(title: str, total: int) -> Iterator[Bar]:
    """Show a bar with count, remaining time and a note, or steps per second, while the block runs."""
    # Imported here, because training code has to run where rich is not installed.
    from rich import get_console
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Column

    console = get_console()
    # In a single column, so that only the end of the text is cut where it does not fit.
    text = TextColumn("{task.fields[text]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))
    shown = console.is_terminal or console.is_jupyter  # elsewhere, a finished bar would leave an empty line
    with Progress(BarColumn(10), text, console=console, transient=True, disable=not shown) as progress:
        yield Bar(title, total, progress, shown)
