"""What keeps other web pages out: loopback names, the token in the address, Origin, and response headers."""

import hmac
from collections.abc import Awaitable, Callable
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Middleware

NAMES = ("127.0.0.1", "localhost")
"""Host names under which the page is served."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:;"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), display-capture=(), geolocation=()",
    "Referrer-Policy": "no-referrer",  # the address holds the token
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Headers of every response."""


def guard(token: str) -> Middleware:
    """Return a middleware that refuses foreign Hosts (DNS rebinding), foreign Origins and paths without the token.

    Args:
        token: The first segment of the path of every valid address.
    """

    @web.middleware
    async def check(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        hosts = _own_hosts(request)
        if request.headers.get("Host") not in hosts:
            raise web.HTTPForbidden(text="This address is not served here.")
        origin = request.headers.get("Origin")
        if origin is not None and origin not in {f"http://{host}" for host in hosts}:
            raise web.HTTPForbidden(text="Requests from other pages are refused.")
        segment = request.rel_url.raw_path.removeprefix("/").split("/")[0]
        if not hmac.compare_digest(segment.encode(), quote(token).encode()):
            raise web.HTTPForbidden(text="Open the address that dreaming-ui printed.")
        return await handler(request)

    return check


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add ``HEADERS`` to a response that is about to be sent; browsers ask again before they use a cached copy."""
    for name, value in {**HEADERS, "Cache-Control": "private, no-cache"}.items():
        response.headers.setdefault(name, value)


def _own_hosts(request: web.Request) -> set[str]:
    assert request.transport is not None
    port = request.transport.get_extra_info("sockname")[1]
    return {f"{name}:{port}" for name in NAMES}
