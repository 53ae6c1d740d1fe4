"""What the page asks the server for about the clip: its state, frames and thumbnails."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from dreaming.io.frame_folder import is_signed
from dreaming.ui.clip_state import describe_clip
from dreaming.ui.pictures import frame_jpeg, version_of
from dreaming.ui.routes.open_clip import CLIP, frame_of

ROUTES = web.RouteTableDef()


@ROUTES.get("/clip")
async def _get_clip(request: web.Request) -> web.Response:
    opened = request.app[CLIP]

    def describe() -> dict[str, Any]:
        return describe_clip(opened.refresh())

    return web.json_response(await asyncio.to_thread(describe))


@ROUTES.get("/frames/{stem}")
async def _get_frame(request: web.Request) -> web.StreamResponse:
    clip, stem = request.app[CLIP].clip, frame_of(request)
    path = clip.frames.files[stem]
    if await asyncio.to_thread(is_signed, path):  # our own: sRGB, 8 bits, over black
        return web.FileResponse(path, headers={"Content-Type": "image/png"})
    return await _picture(request, path, lambda: frame_jpeg(clip, stem), "image/jpeg")


@ROUTES.get("/thumbnails/{stem}")
async def _get_thumbnail(request: web.Request) -> web.Response:
    opened, stem = request.app[CLIP], frame_of(request)
    clip = opened.clip
    async with opened.thumbnail_turn:
        if request.transport is None:  # scrolled out of sight meanwhile
            return web.Response()
        return await _picture(request, clip.frames.files[stem], lambda: opened.thumbnails.get(clip, stem), "image/jpeg")


async def _picture(request: web.Request, path: Path, make: Callable[[], bytes], kind: str) -> web.Response:
    """Send a picture made of a file, or 304 if the browser has it."""
    version = f'"{version_of(path)}"'
    if request.headers.get("If-None-Match") == version:
        return web.Response(status=304, headers={"ETag": version})
    return web.Response(body=await asyncio.to_thread(make), content_type=kind, headers={"ETag": version})
