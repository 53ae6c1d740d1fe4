"""What the page asks the server for about jobs: start, stop, and their progress over a WebSocket."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from aiohttp import WSMsgType, web

from dreaming.ui.jobs import PAUSE, JobRunner, JobRunningError

ROUTES = web.RouteTableDef()
JOBS = web.AppKey("JOBS", JobRunner)

ACTIONS: dict[str, Sequence[str]] = {
    "masks": ["stages=[mask]"],
    "style": ["stages=[stylise,composite]"],
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
    try:
        await jobs.start(action, ACTIONS[action])
    except JobRunningError:
        return web.json_response({"error": "Another job is running."}, status=409)
    return web.json_response(jobs.state)


@ROUTES.post("/job/resume")
async def _resume(request: web.Request) -> web.Response:
    jobs = request.app[JOBS]
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
