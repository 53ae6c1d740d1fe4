"""What the page asks the server for about jobs: start, stop, and their progress over a WebSocket."""

import asyncio
import shlex
from collections.abc import Sequence
from contextlib import suppress

from aiohttp import WSMsgType, web

from dreaming.errors import ConfigError
from dreaming.ui.jobs import PAUSE, JobRunner, JobRunningError
from dreaming.ui.override_check import OverrideCheck
from dreaming.ui.routes.open_clip import CLIP

ROUTES = web.RouteTableDef()
JOBS = web.AppKey("JOBS", JobRunner)
CHECK = web.AppKey("CHECK", OverrideCheck)

ACTIONS: dict[str, Sequence[str]] = {
    "correct": ["stages=[mask,suggest]"],
    "masks": ["stages=[mask]"],
    "preview": ["stages=[preview]"],
    "style": ["stages=[stylise,composite]"],
    "live": ["stages=[live]"],
    "suggest": ["stages=[suggest]"],
    "everything": [],
}
"""Overrides of the jobs that the page can start."""


@ROUTES.get("/job")
async def _get_job(request: web.Request) -> web.Response:
    return web.json_response(request.app[JOBS].state)


@ROUTES.post("/job/start/{action}")
async def _start(request: web.Request) -> web.Response:
    action, jobs = request.match_info["action"], request.app[JOBS]
    if action not in ACTIONS:
        raise web.HTTPNotFound(text="There is no such job.")
    request.app[CLIP].check_folder()
    try:
        await jobs.start(action, [*ACTIONS[action], *await _overrides(request)])
    except JobRunningError:
        return web.json_response({"error": "Another job is running."}, status=409)
    return web.json_response(jobs.state)


@ROUTES.post("/job/check")
async def _check(request: web.Request) -> web.Response:
    """What is wrong with overrides, before a job is started with them; null if nothing is."""
    app = request.app
    try:
        problem = await app[CHECK].problem(app[JOBS].arguments(await _overrides(request)))
    except ConfigError as error:
        problem = str(error)
    return web.json_response({"problem": problem})


async def _overrides(request: web.Request) -> list[str]:
    """The overrides in the body: those of the page's settings, and a typed text that is split as in a shell."""
    try:
        body = await request.json() if request.can_read_body else {}
        listed, typed = body.get("overrides", []), shlex.split(body.get("typed", ""))
    except (ValueError, AttributeError) as error:
        raise _refused(str(error)) from None
    if not isinstance(listed, list) or not all(isinstance(text, str) for text in listed):
        raise _refused("no list of texts")
    for text in [*listed, *typed]:
        if text.startswith("-") or not ("=" in text or text.startswith("~")):
            raise _refused(text)
    return [*listed, *typed]


def _refused(found: str) -> ConfigError:
    return ConfigError("overrides", found=found, expected="overrides such as seed=1, separated by spaces")


@ROUTES.post("/job/resume")
async def _resume(request: web.Request) -> web.Response:
    jobs = request.app[JOBS]
    request.app[CLIP].check_folder()
    try:
        await jobs.resume()
    except JobRunningError:
        return web.json_response({"error": "Another job is running."}, status=409)
    return web.json_response(jobs.state)


@ROUTES.post("/job/stop")
async def _stop(request: web.Request) -> web.Response:
    jobs = request.app[JOBS]
    await jobs.stop()
    return web.json_response(jobs.state)


@ROUTES.get("/events")
async def _events(request: web.Request) -> web.WebSocketResponse:
    """Send the state of the job, now and after each change."""
    socket = web.WebSocketResponse(heartbeat=30)
    await socket.prepare(request)
    sender = asyncio.create_task(_send(socket, request.app[JOBS]))
    try:
        async for message in socket:  # pages send nothing; this ends when they leave
            if message.type is WSMsgType.ERROR:
                break
    finally:
        sender.cancel()
        with suppress(asyncio.CancelledError, ConnectionError):
            await sender
    return socket


async def _send(socket: web.WebSocketResponse, jobs: JobRunner) -> None:
    state = jobs.state
    while not socket.closed:
        await socket.send_json(state)
        await asyncio.sleep(PAUSE)
        state = await jobs.changes(state["version"])
