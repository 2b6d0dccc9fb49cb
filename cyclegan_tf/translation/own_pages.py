"""Protect `cyclegan serve` from requests by other websites."""

import urllib.parse
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")


class OwnPagesOnly:
    """Refuse requests that another website makes the user's browser send.

    Such a request has a foreign `Origin` (cross-site request) or, at a loopback
    address, a foreign `Host` (DNS rebinding: a foreign name that resolves to this
    computer).

    Args:
        app: the ASGI application that answers the other requests.
        host: the address that is served. The names of one that is not loopback are
            unknown.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], host: str):
        self.app = app
        self.hosts = LOOPBACK if host in LOOPBACK else None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        app = self.app
        if scope["type"] in ("http", "websocket"):
            headers = Headers(scope=scope)
            host, origin = headers.get("host", ""), headers.get("origin")
            name = urllib.parse.urlsplit(f"//{host}").hostname
            is_here = self.hosts is None or name in self.hosts
            is_own = origin is None or urllib.parse.urlsplit(origin).netloc == host
            if not (is_here and is_own):
                app = PlainTextResponse(
                    "This page refuses requests of other websites. To use it on other "
                    "computers, start cyclegan serve with --host; a proxy must pass on "
                    "the header Host.\n",
                    status_code=403,
                )
        await app(scope, receive, send)
