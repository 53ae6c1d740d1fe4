"""The server of the page: one clip, on this machine's loopback address only."""

import asyncio
import secrets
import socket
import webbrowser
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from pathlib import Path

from aiohttp import web

from dreaming.errors import AccessError
from dreaming.interruption import SIGNALS
from dreaming.live.process import PAINTER, LiveView
from dreaming.sweep.override_text import to_text
from dreaming.ui import security
from dreaming.ui.jobs import PROGRAM, JobRunner
from dreaming.ui.override_check import CHECKER, OverrideCheck
from dreaming.ui.routes import cleanup, clip, job, keyframe, live, mask, open_clip, prediction, progress, result, shots

ADDRESS = "127.0.0.1"

PORT = 8747
"""Port of the page; masks that are not saved stay in the browser under this port, from one start to the next."""

STATIC = Path(__file__).parent / "static"

API = (clip, mask, cleanup, prediction, progress, keyframe, result, job, live, shots)
"""Modules with ``ROUTES`` of the API."""

CLOSE_SECONDS = 1.0
"""Wait for open connections, such as those of pages, when the server ends."""

KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
"""Content types of the page's files; the registry of Windows may hold wrong ones."""


def make_app(
    path: Path,
    token: str,
    *,
    video: Path | None = None,
    program: Sequence[str] = PROGRAM,
    checker: Sequence[str] = CHECKER,
    painter: Sequence[str] = PAINTER,
) -> web.Application:
    """The web application for one clip.

    Args:
        path: The clip's folder.
        token: The first segment of the path of every address.
        video: The video whose frames a job extracts when the server starts.
        program: Arguments before the overrides of a job.
        checker: The program of ``OverrideCheck``.
        painter: The program of ``LiveView``.
    """
    app = web.Application(
        middlewares=[security.guard(token), open_clip.report_errors], client_max_size=open_clip.MAX_UPLOAD
    )
    app[open_clip.CLIP] = open_clip.OpenClip(path)
    app.on_response_prepare.append(security.add_headers)
    app.router.add_get(f"/{token}/", _page)
    app.router.add_get(f"/{token}/static/{{name}}", _static_file)
    for module in API:
        for route in module.ROUTES:
            assert isinstance(route, web.RouteDef)
            app.router.add_route(route.method, f"/{token}/api{route.path}", route.handler)

    async def jobs(app: web.Application) -> AsyncIterator[None]:
        runner, checks = JobRunner(path, program), OverrideCheck(checker)
        app[job.JOBS], app[job.CHECK], app[live.LIVE] = runner, checks, LiveView(painter)
        await runner.attach()
        if video is not None and not runner.running and not len(app[open_clip.CLIP].clip.frames):
            await runner.start("extract", [f"video={to_text(str(video))}", "stages=[extract]"])
        yield
        await app[live.LIVE].close()
        await checks.close()
        await runner.close()

    app.cleanup_ctx.append(jobs)
    return app


async def _page(request: web.Request) -> web.FileResponse:
    return _file("index.html")


async def _static_file(request: web.Request) -> web.FileResponse:
    return _file(request.match_info["name"])


def _file(name: str) -> web.FileResponse:
    files = {path.name: path for path in STATIC.iterdir() if path.suffix in KINDS}
    if name not in files:
        raise web.HTTPNotFound
    kind = KINDS[files[name].suffix]
    return web.FileResponse(files[name], headers={"Content-Type": f"{kind}; charset=utf-8"})


def serve(path: Path, *, video: Path | None, port: int | None, opens_browser: bool) -> None:
    """Print the address of the page, and serve it until the process is interrupted.

    Args:
        path: The clip's folder.
        video: The video to extract the frames from; None: they are there.
        port: TCP port; None for ``PORT``, or any other one if that is in use.
        opens_browser: Whether to open the page in the user's browser.

    Raises:
        AccessError: If the port cannot be used.
    """
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            _bind(listener, port)
        except OSError as error:
            raise AccessError(
                f"port {port}", found=(error.strerror or str(error)).lower(), expected="a free port",
                hint="choose another with --port, or leave it out",
            ) from None  # fmt: skip
        token = secrets.token_urlsafe(24)
        address = f"http://{ADDRESS}:{listener.getsockname()[1]}/{token}/"

        def ready() -> None:
            print(address, flush=True)
            if opens_browser:
                webbrowser.open(address)

        try:
            asyncio.run(_serve(make_app(path, token, video=video), listener, ready))
        except KeyboardInterrupt:  # how the server is meant to end
            return


def _bind(listener: socket.socket, port: int | None) -> None:
    if port is None:
        with suppress(OSError):
            listener.bind((ADDRESS, PORT))
            return
    listener.bind((ADDRESS, port or 0))


async def _serve(app: web.Application, listener: socket.socket, ready: Callable[[], object]) -> None:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_SECONDS)
    await runner.setup()
    ends, loop = asyncio.Event(), asyncio.get_running_loop()
    with suppress(NotImplementedError):  # on Windows, Ctrl-C raises KeyboardInterrupt
        for number in SIGNALS:
            loop.add_signal_handler(number, ends.set)
    try:
        await web.SockSite(runner, listener).start()
        await asyncio.to_thread(ready)
        await ends.wait()
        if app[job.JOBS].running:
            print("The job goes on; start dreaming-ui again to follow or to stop it.", flush=True)
    finally:
        await runner.cleanup()
