"""Overrides are checked as a run checks them, by a process that writes nothing and stays, since it starts slowly."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

CHECKER = (sys.executable, "-m", "dreaming.cli.program")

IDLE_SECONDS = 300.0
"""Time without a check after which the process ends; it takes 500 MB of memory."""


class OverrideCheck:
    """Checks overrides one after the other.

    Args:
        program: Reads arguments, a JSON list in each line, and prints what is wrong with them.
    """

    def __init__(self, program: Sequence[str] = CHECKER) -> None:
        self._program = tuple(program)
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._newest = 0
        self._end: asyncio.TimerHandle | None = None

    async def problem(self, arguments: Sequence[str]) -> str | None:
        """Return the sentence that a run with these arguments would end with; None if it would start.

        None, too, if newer arguments are waiting.
        """
        self._newest += 1
        number = self._newest
        async with self._turn:
            if number < self._newest:
                return None
            if self._process is None or self._process.returncode is not None:
                self._process = await asyncio.create_subprocess_exec(
                    *self._program,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
                )  # fmt: skip
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            with suppress(ConnectionError):
                self._process.stdin.write(f"{json.dumps(list(arguments))}\n".encode())
                await self._process.stdin.drain()
            answer = await self._process.stdout.readline()
            if not answer:  # it was ended; the job itself checks again
                await self.close()
                return None
            if self._end is not None:
                self._end.cancel()
            self._end = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._kill)
        problem = json.loads(answer)
        return problem if isinstance(problem, str) else None

    async def close(self) -> None:
        """End the process."""
        self._kill()
        if self._end is not None:
            self._end.cancel()
        if self._process is not None:
            await self._process.wait()

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
