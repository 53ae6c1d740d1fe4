"""What the page asks the server for about the cuts of the clip."""

import asyncio

from aiohttp import web

from dreaming.ui.routes.open_clip import CLIP, OpenClip, expected_version, read_json

ROUTES = web.RouteTableDef()


@ROUTES.get("/shots")
async def _get_shots(request: web.Request) -> web.Response:
    return await _shots(request.app[CLIP])


@ROUTES.put("/shots")
async def _put_shots(request: web.Request) -> web.Response:
    opened, expected = request.app[CLIP], expected_version(request)
    firsts = await read_json(request, list)
    if not all(isinstance(stem, str) and stem in opened.clip.frames for stem in firsts):
        raise web.HTTPBadRequest(text="Send a list of names of frames.")
    await asyncio.to_thread(opened.shots.write, opened.clip, firsts, expected)
    opened.refresh()
    return await _shots(opened)


async def _shots(opened: OpenClip) -> web.Response:
    firsts, version = await asyncio.to_thread(opened.shots.read, opened.clip)
    return web.json_response({"shots": firsts, "version": version})
