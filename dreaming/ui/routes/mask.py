"""What the page asks the server for about masks: hand masks to read, write and remove."""

import asyncio

from aiohttp import web

from dreaming.imaging.graph_cut import cut_rectangle
from dreaming.ui.mask_store import decode_upload, expand_runs
from dreaming.ui.pictures import grey_png
from dreaming.ui.routes.open_clip import CLIP, expected_version, frame_of, part_of

ROUTES = web.RouteTableDef()

RUNS = "application/vnd.dreaming.mask"
"""Content type of a mask as run lengths, as the page sends it; of others, a PNG is expected."""


@ROUTES.get("/masks/{part}")
async def _get_empty_masks(request: web.Request) -> web.Response:
    opened, part = request.app[CLIP], part_of(request)
    return web.json_response({"empty": await asyncio.to_thread(opened.empty_masks.find, opened.clip, part)})


@ROUTES.get("/masks/{part}/{stem}")
async def _get_mask(request: web.Request) -> web.Response:
    opened, part, stem = request.app[CLIP], part_of(request), frame_of(request)
    mask, version = await asyncio.to_thread(opened.masks.read, opened.clip, part, stem)
    headers = {"ETag": f'"{version}"', "Cache-Control": "no-store"}
    if mask is None:
        return web.Response(status=204, headers=headers)
    return web.Response(body=await asyncio.to_thread(grey_png, mask), content_type="image/png", headers=headers)


@ROUTES.put("/masks/{part}/{stem}")
async def _put_mask(request: web.Request) -> web.Response:
    opened, part, stem, expected = request.app[CLIP], part_of(request), frame_of(request), expected_version(request)
    clip, data = opened.clip, await request.read()
    read = expand_runs if request.content_type == RUNS else decode_upload

    def write() -> tuple[str, bool]:
        mask = read(data, clip.size)
        return opened.masks.write(clip, part, stem, mask, expected), not mask.any()

    version, empty = await asyncio.to_thread(write)
    return web.json_response({"version": version, "empty": empty}, headers={"ETag": f'"{version}"'})


@ROUTES.delete("/masks/{part}/{stem}")
async def _delete_mask(request: web.Request) -> web.Response:
    opened, part, stem, expected = request.app[CLIP], part_of(request), frame_of(request), expected_version(request)
    path = await asyncio.to_thread(opened.masks.remove, opened.clip, part, stem, expected)
    return web.json_response({"moved_to": path.relative_to(opened.path).as_posix()})


@ROUTES.post("/masks/{part}/{stem}/undo")
async def _undo(request: web.Request) -> web.Response:
    """Bring back the mask that was on disk before the last one was saved or removed here."""
    opened, part, stem, expected = request.app[CLIP], part_of(request), frame_of(request), expected_version(request)
    version = await asyncio.to_thread(opened.masks.undo, opened.clip, part, stem, expected)
    return web.json_response({"version": version})


@ROUTES.post("/outlines/{stem}")
async def _find_outline(request: web.Request) -> web.Response:
    """The foreground that GrabCut finds inside a rectangle; the body is a mask of what is painted there."""
    clip, stem = request.app[CLIP].clip, frame_of(request)
    try:
        left, top, width, height = (int(request.query[key]) for key in ("left", "top", "width", "height"))
    except (KeyError, ValueError):
        raise web.HTTPBadRequest(text="State left, top, width and height in pixels.") from None
    if left < 0 or top < 0 or min(width, height) < 1 or left + width > clip.size[1] or top + height > clip.size[0]:
        raise web.HTTPBadRequest(text="State a rectangle inside the frame.")
    png = await request.read()

    def find() -> bytes:
        painted = decode_upload(png, (height, width))
        rows, columns = slice(top, top + height), slice(left, left + width)
        return grey_png(cut_rectangle(clip.frames.read(stem), rows, columns, painted))

    return web.Response(body=await asyncio.to_thread(find), content_type="image/png")
