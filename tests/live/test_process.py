"""One process at a time paints for a server; its end is noticed."""

import asyncio
import sys

import pytest

from dreaming.live.messages import HEADER, to_json
from dreaming.live.process import LiveView, PaintProcessEndedError

READY = [sys.executable, "-S", "-c", f"import sys; sys.stdout.buffer.write({to_json({'state': 'ready'})!r}); "]
WAITS = [*READY[:-1], READY[-1] + "sys.stdout.flush(); sys.stdin.buffer.read()"]
FAILS = [*READY[:-1], READY[-1] + "sys.exit(3)"]


def test_the_next_process_replaces_the_last_one(tmp_path):
    async def scenario():
        view = LiveView(WAITS)
        first = await view.open(tmp_path, "a")
        assert (await first.receive())[: HEADER.size] == to_json({"state": "ready"})[: HEADER.size]
        second = await view.open(tmp_path, "a")
        with pytest.raises(PaintProcessEndedError):
            await first.receive()
        assert first.is_replaced
        await second.receive()
        assert second.code is None
        await view.close()
        assert second.code is not None

    asyncio.run(scenario())


def test_a_process_that_ends_is_noticed(tmp_path):
    async def scenario():
        painter = await LiveView(FAILS).open(tmp_path, "a")
        await painter.receive()
        with pytest.raises(PaintProcessEndedError):
            await painter.receive()
        assert (painter.code, painter.is_replaced) == (3, False)

    asyncio.run(scenario())
