"""The process that paints, as the server of the page sees it; imports no torch."""

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dreaming.live.messages import HEADER, MAX_BYTES, body_size

PAINTER = (sys.executable, "-m", "dreaming.live.worker")


class PaintProcessEndedError(Exception):
    """The process has ended."""


class PaintProcess:
    """One process, which paints in the style of one layer."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._pictures, self._answers = process, process.stdin, process.stdout
        self.is_replaced = False

    @property
    def code(self) -> int | None:
        """Exit code; None while it runs."""
        return self._process.returncode

    async def send(self, picture: bytes) -> None:
        """Send a picture to paint; nothing if the process has ended, which ``receive`` reports."""
        with suppress(ConnectionError):
            self._pictures.write(picture)
            await self._pictures.drain()

    async def receive(self) -> bytes:
        """Wait for the next message.

        Raises:
            PaintProcessEndedError: If the process has ended.
        """
        try:
            header = await self._answers.readexactly(HEADER.size)
            return header + await self._answers.readexactly(body_size(header))
        except (asyncio.IncompleteReadError, ConnectionError):
            await self._process.wait()
            raise PaintProcessEndedError from None

    async def close(self) -> None:
        """End the process."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


class LiveView:
    """The live view of a server: one process at a time, which takes half a gigabyte of memory.

    Args:
        program: Arguments before the clip's folder and the layer.
    """

    def __init__(self, program: Sequence[str] = PAINTER) -> None:
        self._program = tuple(program)
        self._painter: PaintProcess | None = None

    async def open(self, clip: Path, layer: str) -> PaintProcess:
        """Start a process; it replaces the last one."""
        await self.close()
        process = await asyncio.create_subprocess_exec(
            *self._program, str(clip), layer,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            start_new_session=True, limit=MAX_BYTES,
        )  # fmt: skip
        await self.close()  # one that was opened meanwhile
        self._painter = PaintProcess(process)
        return self._painter

    async def close(self) -> None:
        """End the process that is running."""
        if self._painter is not None:
            self._painter.is_replaced = True
            await self._painter.close()
