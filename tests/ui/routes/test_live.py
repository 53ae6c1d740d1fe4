"""The frames of a camera are painted by a process, one at a time."""

import sys

import numpy as np
import pytest
from aiohttp import WSMsgType, WSServerHandshakeError

from dreaming.live.messages import from_picture, to_json, to_picture
from dreaming.ui.routes import live

INVERTS = f"""
import struct, sys
def send(message): sys.stdout.buffer.write(message); sys.stdout.flush()
send({to_json({"state": "ready"})!r})
while header := sys.stdin.buffer.read(8):
    width, height = struct.unpack("<II", header)
    send(header + bytes(255 - value for value in sys.stdin.buffer.read(4 * width * height)))
"""
PAINTER = [sys.executable, "-S", "-c", INVERTS]
IMAGE = np.random.default_rng(0).integers(0, 256, (16, 20, 3), np.uint8)


async def picture(socket):
    await socket.send_bytes(to_picture(IMAGE))
    return from_picture((await socket.receive()).data)


def test_pictures_are_painted_and_another_tab_takes_over(disc_clip, visit, at):
    async def scenario(client):
        async with client.ws_connect(at("live/painted")) as first:
            assert await first.receive_json() == {"state": "ready"}
            async with client.ws_connect(at("live/painted")) as second:
                assert list(await first.receive_json()) == ["ended"]
                assert (await first.receive()).type is WSMsgType.CLOSE
                assert await second.receive_json() == {"state": "ready"}
                return [await picture(second) for _ in range(2)]

    assert np.array_equal(visit(disc_clip().path, scenario, painter=PAINTER), [255 - IMAGE] * 2)


@pytest.mark.parametrize(
    ("painter", "data", "kind"),
    [
        (PAINTER, to_picture(IMAGE)[:-1], "error"),
        ([sys.executable, "-S", "-c", INVERTS.replace("while", "sys.exit(3)\nwhile")], to_picture(IMAGE), "error"),
        (PAINTER, None, "ended"),
    ],
)
def test_the_reason_of_an_end_is_sent(disc_clip, visit, at, monkeypatch, painter, data, kind):
    if data is None:
        monkeypatch.setattr(live, "IDLE_SECONDS", 0.001)

    async def scenario(client):
        async with client.ws_connect(at("live/painted")) as socket:
            if data is not None:
                assert await socket.receive_json() == {"state": "ready"}
                await socket.send_bytes(data)
            return [kind async for message in socket for kind in message.json()]

    assert visit(disc_clip().path, scenario, painter=painter)[-1] == kind


def test_layers_without_a_style_are_explained(disc_clip, visit, at):
    async def scenario(client):
        with pytest.raises(WSServerHandshakeError) as caught:
            await client.ws_connect(at("live/none"))
        return caught.value.status, await (await client.get(at("live"))).json()

    status, answer = visit(disc_clip().path, scenario)
    assert status == 404
    assert [layer["name"] for layer in answer["layers"]] == ["painted"]
    assert answer["layers"][0]["problem"]
