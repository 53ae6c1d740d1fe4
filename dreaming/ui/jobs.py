"""Runs of ``dreaming`` that the page starts: one at a time, each a process of its own."""

import asyncio
import os
import re
import shlex
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from typing import Any

from dreaming.progress import LINE_SECONDS_VARIABLE

PROGRAM = (sys.executable, "-m", "dreaming")

LOG_LINES = 300
"""Lines of a job's log that are kept for the page; the run folder has all of them."""
DRAIN_SECONDS = 2.0
"""Wait for the output of a job that has ended; a process that it left behind may keep the pipe open."""
PAUSE = 0.1
"""Seconds between two messages to a page at least."""

_PROGRESS = re.compile(
    r"^\w+ +(?:step (?P<step>\d+) of (?P<steps>\d+), )?(?P<title>.+?): (?P<done>\d+)/(?P<total>\d+), "
    r"(?P<left>[^,]+) left(?:, (?P<note>.*))?$"
)


class JobRunningError(Exception):
    """A second job, while one is running."""


def parse_progress(line: str) -> dict[str, Any] | None:
    """The numbers in a line of a progress bar; None for any other line of the log."""
    match = _PROGRESS.match(line)
    if match is None:
        return None
    counts = ("step", "steps", "done", "total")
    return {key: int(text) if text and key in counts else text for key, text in match.groupdict().items()}


class JobRunner:
    """Starts, observes and stops one job at a time.

    Args:
        program: Arguments before a job's overrides.
    """

    def __init__(self, program: Sequence[str] = PROGRAM) -> None:
        self._program = tuple(program)
        self._changed = asyncio.Condition()
        self._process: asyncio.subprocess.Process | None = None
        self._observer: asyncio.Task[None] | None = None
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._state: dict[str, Any] = {"name": None, "command": None, "status": "none", "progress": None, "code": None}
        self._version = 0

    @property
    def state(self) -> dict[str, Any]:
        """The last job as plain data.

        ``status`` is none, running, stopping, done, stopped or failed; ``command`` can be pasted into a terminal.
        """
        return {**self._state, "log": list(self._log), "version": self._version}

    @property
    def running(self) -> bool:
        """Whether a job is running."""
        return self._state["status"] in ("running", "stopping")

    async def start(self, name: str, overrides: Sequence[str]) -> None:
        """Start ``dreaming`` with these overrides.

        Raises:
            JobRunningError: If a job is running.
        """
        if self.running:
            raise JobRunningError
        self._log.clear()
        self._state = {
            "name": name,
            "command": shlex.join(["dreaming", *overrides]),
            "status": "running",
            "progress": None,
            "code": None,
        }
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._program,
                *overrides,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                # Ctrl-C in the terminal must reach a job once, through `stop`: a second signal ends it without saving.
                start_new_session=True,
                env={**os.environ, LINE_SECONDS_VARIABLE: "1", "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"},
            )
        except OSError:
            self._state["status"] = "failed"
            raise
        self._observer = asyncio.create_task(self._observe(self._process))
        await self._notify()

    async def stop(self) -> None:
        """Interrupt the job as Ctrl-C would, so that it saves its state; a second time ends it at once."""
        if self.running and self._process is not None and self._process.returncode is None:
            self._state["status"] = "stopping"
            self._process.send_signal(signal.SIGINT)
            await self._notify()

    async def close(self) -> None:
        """Stop the job and wait until it has saved its state."""
        await self.stop()
        if self._observer is not None:
            await asyncio.shield(self._observer)

    async def changes(self, version: int) -> dict[str, Any]:
        """Wait until the state has another version than this one, and return it."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._version != version)
        return self.state

    async def _notify(self) -> None:
        self._version += 1
        async with self._changed:
            self._changed.notify_all()

    async def _observe(self, process: asyncio.subprocess.Process) -> None:
        reader = asyncio.create_task(self._read(process))
        code = await process.wait()
        await asyncio.wait({reader}, timeout=DRAIN_SECONDS)
        reader.cancel()
        stopped = self._state["status"] == "stopping" and code != 0
        status = "done" if code == 0 else "stopped" if stopped else "failed"
        self._state |= {"status": status, "progress": None, "code": code}
        await self._notify()

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        rest = ""
        while data := await process.stdout.read(2**16):
            *lines, rest = (rest + data.decode(errors="replace")).replace("\r", "\n").split("\n")
            for line in filter(None, map(str.rstrip, lines)):
                progress = parse_progress(line)
                if progress is None:
                    self._log.append(line)
                else:
                    self._state["progress"] = progress
            if lines:
                await self._notify()
        if rest.strip():
            self._log.append(rest.rstrip())
