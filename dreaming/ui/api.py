"""What the page asks the server for: the state of the clip, pictures, and hand masks."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from dreaming.clip.clip import Clip
from dreaming.errors import DreamingError
from dreaming.io.frame_folder import is_signed
from dreaming.ui.clip_state import EmptyMasks, describe_clip, parts_of, predictions_of
from dreaming.ui.mask_store import ABSENT, MaskChangedError, MaskStore, decode_upload
from dreaming.ui.pictures import Thumbnails, frame_jpeg, grey_png, version_of

log = logging.getLogger(__name__)

MAX_UPLOAD = 32 * 2**20
"""Bytes of a request; a black and white mask of 8192x8192 pixels needs less than one tenth."""


@dataclass
class OpenClip:
    """The clip that the page shows.

    Attributes:
        path: Its folder.
        thumbnail_turn: Held while a thumbnail is drawn, so that frames do not wait for many of them.
        clip: The clip as it was listed last.
    """

    path: Path
    masks: MaskStore = field(default_factory=MaskStore)
    empty_masks: EmptyMasks = field(default_factory=EmptyMasks)
    thumbnails: Thumbnails = field(default_factory=Thumbnails)
    thumbnail_turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    clip: Clip = field(init=False)

    def __post_init__(self) -> None:
        self.refresh()

    def refresh(self) -> Clip:
        """List the clip's folder again."""
        self.clip = Clip(self.path)
        return self.clip


CLIP = web.AppKey("CLIP", OpenClip)


@web.middleware
async def report_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn errors that a user can correct into a status and one sentence, as JSON."""
    try:
        return await handler(request)
    except MaskChangedError as error:
        sentence = "The mask changed on disk since it was opened here."
        return web.json_response({"error": sentence, "version": error.version}, status=409)
    except DreamingError as error:
        return web.json_response({"error": str(error)}, status=422)
    except OSError as error:
        log.error("%s", error)
        return web.json_response({"error": str(error)}, status=500)


def add_routes(router: web.UrlDispatcher, prefix: str) -> None:
    """Add the routes of this module.

    Args:
        router: The server's router.
        prefix: Path that all addresses begin with.
    """
    router.add_get(f"{prefix}/clip", _get_clip)
    router.add_get(f"{prefix}/frames/{{stem}}", _get_frame)
    router.add_get(f"{prefix}/thumbnails/{{stem}}", _get_thumbnail)
    router.add_get(f"{prefix}/masks/{{part}}", _get_empty_masks)
    router.add_get(f"{prefix}/masks/{{part}}/{{stem}}", _get_mask)
    router.add_put(f"{prefix}/masks/{{part}}/{{stem}}", _put_mask)
    router.add_delete(f"{prefix}/masks/{{part}}/{{stem}}", _delete_mask)
    router.add_get(f"{prefix}/predictions/{{part}}/{{masker}}/{{stem}}", _get_prediction)


async def _get_clip(request: web.Request) -> web.Response:
    opened = request.app[CLIP]

    def describe() -> dict[str, Any]:
        return describe_clip(opened.refresh())

    return web.json_response(await asyncio.to_thread(describe))


async def _get_frame(request: web.Request) -> web.StreamResponse:
    clip, stem = request.app[CLIP].clip, _stem(request)
    path = clip.frames.files[stem]
    if await asyncio.to_thread(is_signed, path):  # our own: sRGB, 8 bits, over black
        return web.FileResponse(path, headers={"Content-Type": "image/png"})
    return await _picture(request, path, lambda: frame_jpeg(clip, stem), "image/jpeg")


async def _get_thumbnail(request: web.Request) -> web.Response:
    opened, stem = request.app[CLIP], _stem(request)
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


async def _get_empty_masks(request: web.Request) -> web.Response:
    opened, part = request.app[CLIP], _part(request)
    return web.json_response({"empty": await asyncio.to_thread(opened.empty_masks.find, opened.clip, part)})


async def _get_mask(request: web.Request) -> web.Response:
    opened, part, stem = request.app[CLIP], _part(request), _stem(request)
    mask, version = await asyncio.to_thread(opened.masks.read, opened.clip, part, stem)
    headers = {"ETag": f'"{version}"', "Cache-Control": "no-store"}
    if mask is None:
        return web.Response(status=204, headers=headers)
    return web.Response(body=await asyncio.to_thread(grey_png, mask), content_type="image/png", headers=headers)


async def _put_mask(request: web.Request) -> web.Response:
    opened, part, stem, expected = request.app[CLIP], _part(request), _stem(request), _expected(request)
    clip, png = opened.clip, await request.read()

    def write() -> tuple[str, bool]:
        mask = decode_upload(png, clip.size)
        return opened.masks.write(clip, part, stem, mask, expected), not mask.any()

    version, empty = await asyncio.to_thread(write)
    return web.json_response({"version": version, "empty": empty}, headers={"ETag": f'"{version}"'})


async def _delete_mask(request: web.Request) -> web.Response:
    opened, part, stem, expected = request.app[CLIP], _part(request), _stem(request), _expected(request)
    path = await asyncio.to_thread(opened.masks.remove, opened.clip, part, stem, expected)
    return web.json_response({"moved_to": path.relative_to(opened.path).as_posix()})


async def _get_prediction(request: web.Request) -> web.Response:
    opened, part, stem = request.app[CLIP], _part(request), _stem(request)
    folder = predictions_of(opened.clip, part).get(request.match_info["masker"])
    if folder is None or stem not in folder:
        raise web.HTTPNotFound(text="There is no such prediction.")
    size = opened.clip.size
    png = await asyncio.to_thread(lambda: grey_png(folder.read_probability(stem, size)))
    return web.Response(body=png, content_type="image/png")


def _stem(request: web.Request) -> str:
    """The frame's name in the address, which must be one of the clip's."""
    stem = request.match_info["stem"]
    if stem not in request.app[CLIP].clip.frames:
        raise web.HTTPNotFound(text="There is no such frame.")
    return stem


def _part(request: web.Request) -> str:
    """The part's name in the address, which must be one of the clip's."""
    part = request.match_info["part"]
    if part not in parts_of(request.app[CLIP].clip):
        raise web.HTTPNotFound(text="There is no such part.")
    return part


def _expected(request: web.Request) -> str:
    """The version of the mask that the page read; a write without it could overwrite anything."""
    if request.headers.get("If-None-Match") == "*":
        return ABSENT
    version = request.headers.get("If-Match", "").strip('"')
    if version in ("", "*"):
        raise web.HTTPPreconditionRequired(text="State the version that was opened, in If-Match.")
    return version
