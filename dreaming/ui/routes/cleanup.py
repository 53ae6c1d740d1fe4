"""What the page asks the server for about the clean-up of masks: a part's steps, and their effect on one frame."""

import asyncio

from aiohttp import web

from dreaming.ui.pictures import grey_png
from dreaming.ui.routes.open_clip import CLIP, OpenClip, expected_version, frame_of, part_of, read_json

ROUTES = web.RouteTableDef()


@ROUTES.get("/cleanup/{part}")
async def _get_steps(request: web.Request) -> web.Response:
    return await _steps(request.app[CLIP], part_of(request))


@ROUTES.put("/cleanup/{part}")
async def _put_steps(request: web.Request) -> web.Response:
    opened, part, expected = request.app[CLIP], part_of(request), expected_version(request)
    steps = await read_json(request, list)
    await asyncio.to_thread(opened.cleanup.write, opened.clip, part, steps, expected)
    opened.refresh()
    return await _steps(opened, part)


async def _steps(opened: OpenClip, part: str) -> web.Response:
    steps, version = await asyncio.to_thread(opened.cleanup.read, opened.clip, part)
    return web.json_response({"steps": steps, "version": version})


@ROUTES.post("/cleaned/{part}/{masker}/{stem}")
async def _clean(request: web.Request) -> web.Response:
    """A masker's mask or matte after the steps in the body, as in the composite; 204 if it is not made yet."""
    from dreaming.ui.cleaned import opacity  # imports PyAV, for which the page need not wait

    opened, part, stem, body = request.app[CLIP], part_of(request), frame_of(request), await read_json(request, dict)
    masker, steps, feather = request.match_info["masker"], body.get("steps"), body.get("feather", 2)
    if not isinstance(steps, list) or not isinstance(feather, int | float):
        raise web.HTTPBadRequest(text="Send a list of steps, and the feather in pixels.")

    def draw() -> bytes | None:
        values = opacity(opened.clip, part, masker, stem, steps, feather, matte=bool(body.get("matte")))
        return None if values is None else grey_png(values)

    async with opened.propagation_turn:
        if request.transport is None:  # another value was set meanwhile
            return web.Response()
        png = await asyncio.to_thread(draw)
    headers = {"Cache-Control": "no-store"}
    return web.Response(body=png, content_type="image/png", headers=headers) if png else web.Response(status=204)
