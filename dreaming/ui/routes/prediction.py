"""What the page asks the server for about predicted masks: those on disk, one computed now, and their disagreement."""

import asyncio
from collections.abc import Callable

from aiohttp import web

from dreaming.io.types import Probability
from dreaming.ui.clip_state import predictions_of
from dreaming.ui.pictures import grey_png
from dreaming.ui.routes.open_clip import CLIP, frame_of, part_of

ROUTES = web.RouteTableDef()


@ROUTES.get("/predictions/{part}/{masker}/{stem}")
async def _get_prediction(request: web.Request) -> web.Response:
    """A masker's mask; 204 if it has made none of this frame yet."""
    opened, part, stem = request.app[CLIP], part_of(request), frame_of(request)
    folder = (await asyncio.to_thread(predictions_of, opened.clip, part)).get(request.match_info["masker"])
    if folder is None:
        raise web.HTTPNotFound(text="There is no such prediction.")
    return await _grey(lambda: folder.read_probability(stem, opened.clip.size) if stem in folder else None)


@ROUTES.get("/disagreement/{part}/{stem}")
async def _get_disagreement(request: web.Request) -> web.Response:
    """Where the masks on disk disagree; 204 if there are none."""
    from dreaming.ui.predicted import disagreement  # imports scipy, for which the page need not wait

    clip, part, stem = request.app[CLIP].clip, part_of(request), frame_of(request)
    return await _grey(lambda: disagreement(clip, part, stem))


@ROUTES.get("/propagated/{part}/{stem}")
async def _get_propagated(request: web.Request) -> web.Response:
    """The nearest hand masks, propagated to this frame now."""
    from dreaming.ui.predicted import propagate_to

    opened, part, stem = request.app[CLIP], part_of(request), frame_of(request)
    async with opened.propagation_turn:
        if request.transport is None:  # another frame was opened meanwhile
            return web.Response()
        return await _grey(lambda: propagate_to(opened.refresh(), part, stem))


async def _grey(compute: Callable[[], Probability | None]) -> web.Response:
    def draw() -> bytes | None:
        values = compute()
        return None if values is None else grey_png(values)

    png = await asyncio.to_thread(draw)
    headers = {"Cache-Control": "no-store"}
    if png is None:
        return web.Response(status=204, headers=headers)
    return web.Response(body=png, content_type="image/png", headers=headers)
