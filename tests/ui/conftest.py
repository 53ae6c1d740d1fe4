"""The server of the page in the test's own process, and pictures as browsers send them."""

import asyncio
import re
import shutil
import sys

import cv2
import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from dreaming.ui.server import make_app

TOKEN = "secret-token"  # noqa: S105 -- of a test server

IDLE = [sys.executable, "-S", "-c", ""]
"""A program for jobs, or for checks of overrides, that does nothing."""


@pytest.fixture
def visit():
    """Run a coroutine function ``scenario(client)`` against the server of a clip; addresses start below the token."""

    def run(path, scenario, **options):
        async def main():
            app = make_app(path, TOKEN, **{"program": IDLE, "checker": IDLE, **options})
            async with TestClient(TestServer(app)) as client:
                try:
                    return await scenario(client)
                finally:  # jobs outlive their server
                    await client.post(f"/{TOKEN}/api/job/stop")

        return asyncio.run(main())

    return run


@pytest.fixture
def at():
    """The path of an address of the API."""
    return lambda place: f"/{TOKEN}/api/{place}"


@pytest.fixture
def png():
    """Encode an array as PNG: grey, BGR or BGRA."""
    return lambda array: cv2.imencode(".png", array)[1].tobytes()


@pytest.fixture
def decoded():
    """Decode a picture without conversion."""
    return lambda data: cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


@pytest.fixture
def browse():
    """Run a coroutine function ``scenario(page)`` in chromium, on the page of a clip; errors of the page fail."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed")

    def run(path, scenario, width=1280, height=800, flags=(), **options):
        async def main():
            runner = web.AppRunner(make_app(path, TOKEN, **{"program": IDLE, "checker": IDLE, **options}))
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            errors = []
            try:
                async with playwright.async_playwright() as driver:
                    browser = await driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", *flags])
                    context = await browser.new_context(viewport={"width": width, "height": height})
                    page = await context.new_page()
                    page.on("pageerror", lambda error: errors.append(str(error)))
                    page.on("console", lambda message: message.type == "error" and errors.append(message.text))
                    await page.goto(f"http://127.0.0.1:{runner.addresses[0][1]}/{TOKEN}/")
                    await page.locator("#mask-state", has_text=re.compile("mask|Saved")).wait_for(timeout=240_000)
                    await scenario(page)
                    await browser.close()
            finally:
                await runner.cleanup()
            return errors

        return asyncio.run(main())

    return run
