"""What the page asks the server for while a job runs: the newest results, and pictures of the training."""

import asyncio
import os
from pathlib import Path
from typing import Any

from aiohttp import web

from dreaming.clip.clip import Clip
from dreaming.io.frame_folder import FrameFolder, subfolders
from dreaming.ui.pictures import version_of
from dreaming.ui.routes.open_clip import CLIP

ROUTES = web.RouteTableDef()

SHEET, PREVIEW = "training.png", "preview.mp4"


@ROUTES.get("/progress")
async def _get_progress(request: web.Request) -> web.Response:
    """The number of stylised frames and the newest one of each layer, and versions of what can be shown."""
    clip = request.app[CLIP].clip

    def describe() -> dict[str, Any]:
        paths = {"training": newest_sheet(clip), "preview": clip.path / PREVIEW}
        versions = {name: version_of(path) if path and path.is_file() else None for name, path in paths.items()}
        return {"styled": [_newest(clip, name) for name in subfolders(clip.path / "styled")], **versions}

    return web.json_response(await asyncio.to_thread(describe))


@ROUTES.get(f"/{SHEET}")
async def _get_sheet(request: web.Request) -> web.FileResponse:
    """Predictions of the newest training, one column for each validation."""
    return _file(await asyncio.to_thread(newest_sheet, request.app[CLIP].clip), "image/png")


@ROUTES.get(f"/{PREVIEW}")
async def _get_preview(request: web.Request) -> web.FileResponse:
    return _file(request.app[CLIP].path / PREVIEW, "video/mp4")


def newest_sheet(clip: Clip) -> Path | None:
    """The newest sheet of predictions that a training of a style has drawn."""
    sheets = [path for path in clip.path.glob(f"runs/style*/**/{SHEET}") if not path.is_symlink()]
    return max(sheets, key=lambda path: path.stat().st_mtime_ns, default=None)


def _newest(clip: Clip, layer: str) -> dict[str, Any]:
    """Number of a layer's stylised frames, and the name of the newest one."""
    folder = FrameFolder(clip.path / "styled" / layer)
    # Once a second: Path.stat takes three times as long.
    times = {stem: os.stat(f"{folder.path}/{name}").st_mtime_ns for stem, name in folder.names.items()}  # noqa: PTH116 -- Path.stat takes longer
    return {"layer": layer, "count": len(times), "newest": max(times, key=times.__getitem__, default=None)}


def _file(path: Path | None, kind: str) -> web.FileResponse:
    """A file of the clip; ranges of it, too."""
    if path is None or path.is_symlink() or not path.is_file():
        raise web.HTTPNotFound(text="There is no such file.")
    return web.FileResponse(path, headers={"Content-Type": kind})
