"""Which requests `cyclegan serve` answers on the computer of its user."""

import urllib.parse
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")


class OwnPagesOnly:
    """Refuse what another site's page makes a browser on this computer send.

    Its `Origin` is not this server; or it gave its own name this computer's address,
    and that name is the `Host`.

    Args:
        app: the ASGI application that answers the other requests.
    """

    def __init__(self, app: Callable[..., Awaitable[None]]):
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        app = self.app
        if scope["type"] in ("http", "websocket"):
            headers = Headers(scope=scope)
            host, origin = headers.get("host", ""), headers.get("origin")
            is_here = urllib.parse.urlsplit(f"//{host}").hostname in LOOPBACK
            is_own = origin is None or urllib.parse.urlsplit(origin).netloc == host
            if not (is_here and is_own):
                app = PlainTextResponse(
                    "This page answers its own computer only; serve it to others with "
                    "--host.\n",
                    status_code=403,
                )
        await app(scope, receive, send)
