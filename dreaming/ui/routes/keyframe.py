"""What the page asks the server for about keyframes, layers and parts."""

import asyncio
from typing import Any

from aiohttp import web

from dreaming.errors import ClipError
from dreaming.io.frame_folder import subfolders
from dreaming.ui.clip_state import parts_of
from dreaming.ui.keyframe_store import frame_png
from dreaming.ui.routes.job import JOBS
from dreaming.ui.routes.open_clip import CLIP, OpenClip, expected_version, frame_of, part_of, read_json
from dreaming.ui.user_files import ABSENT

ROUTES = web.RouteTableDef()

MAX_KEYFRAME = 256 * 2**20
"""Bytes of a painted file; an uncompressed one of 8192x4320 pixels with 16-bit RGB has 212 MB."""


@ROUTES.get("/frames/{stem}/download")
async def _download_frame(request: web.Request) -> web.Response:
    clip, stem = request.app[CLIP].clip, frame_of(request)
    png = await asyncio.to_thread(frame_png, clip, stem)
    return web.Response(body=png, content_type="image/png")


@ROUTES.get("/keyframes/{layer}/{stem}")
async def _get_keyframe_version(request: web.Request) -> web.Response:
    opened, stem = request.app[CLIP], frame_of(request)
    layer = request.match_info["layer"]
    if layer not in subfolders(opened.path / "keyframes"):
        return web.json_response({"version": ABSENT, "name": None})
    path, version = await asyncio.to_thread(opened.keyframes.find, opened.clip, layer, stem)
    return web.json_response({"version": version, "name": path and path.name})


@ROUTES.put("/keyframes/{layer}/{stem}")
async def _put_keyframe(request: web.Request) -> web.Response:
    opened, stem, expected = request.app[CLIP], frame_of(request), expected_version(request)
    layer, name = request.match_info["layer"], request.query.get("name", "")
    data = await _read_upload(request)
    path, version = await asyncio.to_thread(opened.keyframes.write, opened.clip, layer, stem, name, data, expected)
    return web.json_response({"version": version, "name": path.name})


@ROUTES.delete("/keyframes/{layer}/{stem}")
async def _delete_keyframe(request: web.Request) -> web.Response:
    opened, stem, expected = request.app[CLIP], frame_of(request), expected_version(request)
    layer = request.match_info["layer"]
    if layer not in subfolders(opened.path / "keyframes"):
        raise web.HTTPNotFound(text="There is no such layer.")
    path = await asyncio.to_thread(opened.keyframes.remove, opened.clip, layer, stem, expected)
    return web.json_response({"moved_to": path.relative_to(opened.path).as_posix()})


async def _read_upload(request: web.Request) -> bytes:
    """The body, which may be larger than that of other requests."""
    data = bytearray()
    async for chunk in request.content.iter_any():
        data += chunk
        if len(data) > MAX_KEYFRAME:
            raise web.HTTPRequestEntityTooLarge(MAX_KEYFRAME, len(data))
    return bytes(data)


@ROUTES.get("/layers")
async def _get_layers(request: web.Request) -> web.Response:
    return web.json_response(await asyncio.to_thread(_describe_layers, request.app[CLIP]))


@ROUTES.put("/layers")
async def _put_layers(request: web.Request) -> web.Response:
    opened, expected = request.app[CLIP], expected_version(request)
    layers = await read_json(request, list)
    await asyncio.to_thread(opened.layers.write, opened.clip, layers, expected)
    return web.json_response(await asyncio.to_thread(_describe_layers, opened))


def _describe_layers(opened: OpenClip) -> dict[str, Any]:
    """The layers bottom to top, as listed in clip.yaml or as the stages derive them, and what is wrong with them."""
    clip = opened.refresh()
    listed, version = opened.layers.read(clip)
    try:
        derived, problem = clip.layers, None
        layers = derived if listed is None else listed
    except ClipError as error:
        layers, problem = listed or [], str(error)
    return {
        "layers": [vars(layer) for layer in layers],
        "listed": listed is not None,
        "version": version,
        "problem": problem,
    }


@ROUTES.post("/parts")
async def _add_part(request: web.Request) -> web.Response:
    opened, name = _without_job(request), await _new_name(request)
    await asyncio.to_thread(opened.parts.add, opened.clip, name)
    return web.json_response(parts_of(opened.refresh()))


@ROUTES.post("/parts/{part}")
async def _rename_part(request: web.Request) -> web.Response:
    opened, part, name = _without_job(request), part_of(request), await _new_name(request)
    await asyncio.to_thread(opened.parts.rename, opened.clip, part, name)
    return web.json_response(parts_of(opened.refresh()))


async def _new_name(request: web.Request) -> str:
    name = (await read_json(request, dict)).get("name")
    if not isinstance(name, str):
        raise web.HTTPBadRequest(text="Send the new name.")
    return name


def _without_job(request: web.Request) -> OpenClip:
    """The clip, if no job reads its folders."""
    if request.app[JOBS].running:
        raise web.HTTPConflict(text="A run reads the folders of the parts. Stop it, or wait until it has finished.")
    return request.app[CLIP]
