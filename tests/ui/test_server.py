"""The page's own files, and the server's port."""

import re
import socket

import pytest

from dreaming.errors import AccessError
from dreaming.ui.server import STATIC, serve


def test_every_file_of_the_page_is_served_with_its_type(disc_clip, visit):
    kinds = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

    async def scenario(client):
        return {
            path.name: (await client.get(f"/secret-token/static/{path.name}")).content_type for path in STATIC.iterdir()
        }

    types = visit(disc_clip().path, scenario)
    assert types == {path.name: kinds[path.suffix] for path in STATIC.iterdir()}


@pytest.mark.parametrize("name", ["..%2Fserver.py", "%2e%2e/server.py", "..%2F..%2F..%2Fpyproject.toml", "none.js"])
def test_no_other_file_is_served(disc_clip, visit, name):
    async def scenario(client):
        return (await client.get(f"/secret-token/static/{name}")).status

    assert visit(disc_clip().path, scenario) in (403, 404)


def test_the_page_has_no_inline_code_and_refers_only_to_its_own_files():
    text = (STATIC / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=|<style", text)
    for path in STATIC.iterdir():
        assert not re.search(r"https?://(?!www\.w3\.org/)", path.read_text()), path


def test_modules_of_the_page_are_short():
    assert all(len(path.read_text().splitlines()) < 300 for path in STATIC.iterdir())


def test_a_port_in_use_is_named(disc_clip):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(AccessError) as error:
            serve(disc_clip().path, video=None, port=port, opens_browser=False)
    assert error.value.where == f"port {port}"
