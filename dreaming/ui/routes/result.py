"""What the page asks the server for to judge results: pictures, the video, scores and the report."""

import asyncio
from pathlib import Path
from typing import Any

from aiohttp import web

from dreaming.clip.clip import Clip
from dreaming.io.frame_folder import is_signed
from dreaming.stages.scores.record import read_scores
from dreaming.ui.pictures import version_of
from dreaming.ui.results import as_png, folders_of, worst_pictures
from dreaming.ui.routes.open_clip import CLIP, frame_of

ROUTES = web.RouteTableDef()

VIDEO, REPORT = "dream.mp4", "report.html"

REPORT_POLICY = (
    "default-src 'none'; img-src 'self' data:; media-src 'self' data:; style-src 'unsafe-inline';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The report holds its style and pictures, and no script."""


@ROUTES.get("/results")
async def _get_results(request: web.Request) -> web.Response:
    clip = request.app[CLIP].clip

    def describe() -> dict[str, Any]:
        return {
            "pictures": sorted(name for name, folder in folders_of(Clip(clip.path)).items() if not folder.is_empty),
            "video": version_of(clip.path / VIDEO) if (clip.path / VIDEO).is_file() else None,
            "report": (clip.path / REPORT).is_file(),
            "scores": read_scores(clip),
        }

    return web.json_response(await asyncio.to_thread(describe))


@ROUTES.get("/results/{folder:.+}/{stem}")
async def _get_result(request: web.Request) -> web.StreamResponse:
    """A picture of a folder; 204 if there is none, such as of a frame that is not stylised yet."""
    clip, stem = request.app[CLIP].clip, frame_of(request)
    folder = (await asyncio.to_thread(folders_of, Clip(clip.path))).get(request.match_info["folder"])
    if folder is None:
        return web.Response(status=204)
    path = folder.path / f"{stem}.png"
    if await asyncio.to_thread(is_signed, path):  # without listing thousands of others
        return web.FileResponse(path, headers={"Content-Type": "image/png"})
    png = await asyncio.to_thread(lambda: as_png(folder, stem) if stem in folder else None)
    return web.Response(body=png, content_type="image/png") if png else web.Response(status=204)


@ROUTES.get(f"/{VIDEO}")
async def _get_video(request: web.Request) -> web.FileResponse:
    return _file(request.app[CLIP].path / VIDEO, "video/mp4")


@ROUTES.get(f"/{REPORT}")
async def _get_report(request: web.Request) -> web.FileResponse:
    response = _file(request.app[CLIP].path / REPORT, "text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = REPORT_POLICY
    return response


@ROUTES.get("/{picture:runs/.+}")
async def _get_worst_picture(request: web.Request) -> web.FileResponse:
    """A picture that the report links to."""
    paths = await asyncio.to_thread(worst_pictures, request.app[CLIP].clip)
    path = paths.get(request.match_info["picture"])
    if path is None:
        raise web.HTTPNotFound
    return _file(path, "image/png")


def _file(path: Path, kind: str) -> web.FileResponse:
    """A file of the clip; ranges of it, too."""
    if path.is_symlink() or not path.is_file():
        raise web.HTTPNotFound(text="There is no such file.")
    return web.FileResponse(path, headers={"Content-Type": kind})
