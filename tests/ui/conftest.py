"""The server of the page in the test's own process, and pictures as browsers send them."""

import asyncio

import cv2
import numpy as np
import pytest
from aiohttp.test_utils import TestClient, TestServer

from dreaming.ui.server import make_app

TOKEN = "secret-token"  # noqa: S105


@pytest.fixture
def visit():
    """Run a coroutine function ``scenario(client)`` against the server of a clip; addresses start below the token."""

    def run(path, scenario, **options):
        async def main():
            async with TestClient(TestServer(make_app(path, TOKEN, **options))) as client:
                return await scenario(client)

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
