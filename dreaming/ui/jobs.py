"""Runs of ``dreaming`` that the page starts: one at a time, each a process that goes on when the server ends."""

import asyncio
import os
import re
import shlex
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from dreaming.artifacts.record import read_record, write_record
from dreaming.io.locks import try_lock
from dreaming.progress import LINE_SECONDS_VARIABLE
from dreaming.sweep.override_text import to_text
from dreaming.ui.learning_curve import LearningCurve
from dreaming.ui.supervisor import LOCK, LOG, RECORD, job_folder

PROGRAM = (sys.executable, "-m", "dreaming")

LOG_LINES = 300
"""Lines of a job's log that are kept for the page; the run folder has all of them."""
TAIL = 2**18
"""Bytes at the end of the log that are read of a job that another server started."""
POLL_SECONDS = 0.1
"""Time between two looks at a running job's log."""
INTERRUPTED = (130, 143)
"""Exit codes of a program that saved its state after Ctrl-C or SIGTERM."""
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
    """Starts, observes and stops one job of a clip at a time.

    A job's process, log and record (``.ui/``) outlive this object; the next one for the same clip finds them.

    Args:
        clip: The clip's folder; it may not exist yet.
        program: Arguments before a job's overrides.
    """

    def __init__(self, clip: Path, program: Sequence[str] = PROGRAM) -> None:
        self._clip, self._program = clip, tuple(program)
        self._folder = job_folder(clip)
        self._changed = asyncio.Condition()
        self._process: asyncio.subprocess.Process | None = None
        self._observer: asyncio.Task[None] | None = None
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._read, self._rest = 0, b""
        self._state: dict[str, Any] = {"name": None, "command": None, "status": "none", "progress": None, "code": None}
        self._overrides: list[str] = []
        self._curve = LearningCurve()
        self._version = 0

    @property
    def state(self) -> dict[str, Any]:
        """The last job as plain data.

        ``status`` is none, running, stopping, done, stopped or failed; ``command`` can be pasted into a terminal;
        ``curve`` is that of the last training.
        """
        return {**self._state, "log": list(self._log), "curve": self._curve.state, "version": self._version}

    @property
    def running(self) -> bool:
        """Whether a job is running."""
        return self._state["status"] in ("running", "stopping")

    async def attach(self) -> None:
        """Find the clip's last job, and observe it if it is still running."""
        record = read_record(self._folder / RECORD) or {}
        name, overrides = record.get("name"), record.get("overrides")
        if not isinstance(name, str) or not isinstance(overrides, list):
            return
        self._begin(name, [str(override) for override in overrides])
        with suppress(FileNotFoundError):
            self._read = max(0, (self._folder / LOG).stat().st_size - TAIL)
        self._observer = asyncio.create_task(self._observe())

    async def start(self, name: str, overrides: Sequence[str]) -> None:
        """Start ``dreaming`` with the clip and these overrides.

        Raises:
            JobRunningError: If a job is running.
        """
        if self.running or self._is_locked():
            raise JobRunningError
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / LOG).write_bytes(b"")
        write_record(self._folder / RECORD, {"name": name, "overrides": list(overrides), "code": None})
        self._begin(name, list(overrides))
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "dreaming.ui.supervisor", str(self._clip), *self._program),
            *self.arguments(overrides),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in the terminal must not reach a job, which goes on without the server
            env={**os.environ, LINE_SECONDS_VARIABLE: "1", "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"},
        )
        self._observer = asyncio.create_task(self._observe())
        await self._notify()

    async def resume(self) -> None:
        """Start the last job again; it continues from what it saved.

        Raises:
            JobRunningError: If a job is running.
        """
        if self._state["name"] is not None:
            await self.start(self._state["name"], self._overrides)

    async def stop(self) -> None:
        """Interrupt the job as Ctrl-C would, so that it saves its state; a second time ends it at once."""
        if not self.running:
            return
        process = self._process.pid if self._process else (read_record(self._folder / RECORD) or {}).get("process")
        if isinstance(process, int):
            self._state["status"] = "stopping"
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGINT)
            await self._notify()

    async def close(self) -> None:
        """Stop observing the job, which goes on."""
        if self._observer is not None:
            self._observer.cancel()
            await asyncio.wait({self._observer})

    async def changes(self, version: int) -> dict[str, Any]:
        """Wait until the state has another version than this one, and return it."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._version != version)
        return self.state

    def _begin(self, name: str, overrides: list[str]) -> None:
        self._log.clear()
        self._curve = LearningCurve()
        self._read, self._rest, self._process, self._overrides = 0, b"", None, overrides
        command = shlex.join(["dreaming", *self.arguments(overrides)])
        self._state = {"name": name, "command": command, "status": "running", "progress": None, "code": None}

    def arguments(self, overrides: Sequence[str]) -> list[str]:
        """The arguments of ``dreaming`` for a job of the clip."""
        return [f"clip={to_text(str(self._clip))}", *overrides]

    async def _notify(self) -> None:
        self._version += 1
        async with self._changed:
            self._changed.notify_all()

    async def _observe(self) -> None:
        while self._is_alive():
            if self._read_log():
                await self._notify()
            await asyncio.sleep(POLL_SECONDS)
        self._read_log()
        if self._rest.strip():
            self._log.append(self._rest.decode(errors="replace").rstrip())
        code = (read_record(self._folder / RECORD) or {}).get("code")
        stopped = self._state["status"] == "stopping" or code in INTERRUPTED
        status = "done" if code == 0 else "stopped" if stopped else "failed"
        self._state |= {"status": status, "progress": None, "code": code}
        await self._notify()

    def _is_alive(self) -> bool:
        return self._is_locked() if self._process is None else self._process.returncode is None

    def _is_locked(self) -> bool:
        """Whether a job of this clip runs, which another server may have started."""
        if not self._clip.exists():
            return False
        with try_lock(self._clip, LOCK) as is_free:
            return not is_free

    def _read_log(self) -> bool:
        """Read what the job has written since; return whether there are new lines."""
        try:
            with (self._folder / LOG).open("rb") as file:
                file.seek(self._read)
                data = file.read()
        except FileNotFoundError:
            return False
        self._read += len(data)
        *lines, self._rest = (self._rest + data).replace(b"\r", b"\n").split(b"\n")
        for line in filter(None, (line.decode(errors="replace").rstrip() for line in lines)):
            progress = parse_progress(line)
            if progress is None:
                self._log.append(line)
            else:
                self._state["progress"] = progress
                self._curve.add(progress)
        return bool(lines)
