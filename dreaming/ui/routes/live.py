"""What the page asks the server for to paint the frames of a camera: which layers can, and the painted frames."""

import asyncio
from contextlib import suppress

from aiohttp import WSMsgType, web

from dreaming.clip.clip import Clip
from dreaming.errors import CheckpointError
from dreaming.live.choice import find_style
from dreaming.live.messages import HEADER, MAX_BYTES, is_picture
from dreaming.live.process import LiveView, PaintProcess, PaintProcessEndedError
from dreaming.ui.routes.open_clip import CLIP

ROUTES = web.RouteTableDef()
LIVE = web.AppKey("LIVE", LiveView)

IDLE_SECONDS = 300.0
"""Time without a picture after which live view ends: a tab in the background sends none."""


@ROUTES.get("/live")
async def _get_styles(request: web.Request) -> web.Response:
    """Each layer, and why it cannot be shown live; null if it can."""
    opened = request.app[CLIP]

    def describe() -> list[dict[str, str | None]]:
        clip = opened.refresh()
        return [{"name": layer.name, "problem": _problem(clip, layer.name)} for layer in clip.layers]

    return web.json_response({"layers": await asyncio.to_thread(describe)})


def _problem(clip: Clip, layer: str) -> str | None:
    try:
        find_style(clip, layer)
    except CheckpointError as error:
        return str(error)
    return None


@ROUTES.get("/live/{layer}")
async def _paint(request: web.Request) -> web.WebSocketResponse:
    """Answer each picture with a painted one, until either side closes the connection.

    Texts are those of ``dreaming.live.worker``, and ``{"ended": REASON}``.
    """
    opened, layer = request.app[CLIP], request.match_info["layer"]
    if layer not in [each.name for each in await asyncio.to_thread(lambda: opened.refresh().layers)]:
        raise web.HTTPNotFound(text="There is no such layer.")
    socket = web.WebSocketResponse(max_msg_size=MAX_BYTES + 1, compress=False)
    await socket.prepare(request)
    painter = await request.app[LIVE].open(opened.path, layer)
    directions = [asyncio.create_task(_to_painter(socket, painter)), asyncio.create_task(_to_page(socket, painter))]
    try:
        done, _ = await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        with suppress(ConnectionError):  # the page was closed
            if reason := done.pop().result():
                await socket.send_json(reason)
    finally:
        for direction in directions:
            direction.cancel()
        await asyncio.wait(directions)
        await painter.close()
        await socket.close()
    return socket


async def _to_painter(socket: web.WebSocketResponse, painter: PaintProcess) -> dict[str, str] | None:
    """Pass pictures on; return why this ended, None if the page was closed."""
    while True:
        try:
            message = await socket.receive(timeout=IDLE_SECONDS)
        except TimeoutError:
            return {"ended": f"no picture came for {IDLE_SECONDS / 60:.0f} minutes"}
        if message.type is not WSMsgType.BINARY:
            return None
        if not is_picture(message.data):
            return {"error": "A picture has another size than its header states."}
        await painter.send(message.data)


async def _to_page(socket: web.WebSocketResponse, painter: PaintProcess) -> dict[str, str] | None:
    """Pass answers on; return why this ended, None after an error that was passed on."""
    try:
        while True:
            message = await painter.receive()
            if is_picture(message):
                await socket.send_bytes(message)
            else:
                await socket.send_str(message[HEADER.size :].decode())
    except PaintProcessEndedError:
        if painter.is_replaced:
            return {"ended": "it was started in another tab"}
        return (
            {"error": f"The process of the live view has ended (exit code {painter.code})."} if painter.code else None
        )
