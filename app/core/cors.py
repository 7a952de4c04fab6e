"""Public reads from pages of any origin. What changes something needs a key, and pages of others get to send none."""

from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

_ALLOWED: Final = ("Content-Type", "If-None-Match", "Last-Event-ID", "Prefer", "X-Request-Id")
_A_DAY: Final = 24 * 3600


class PublicCors(CORSMiddleware):
    """Starlette's, out of the way of requests that come from no page."""

    def __init__(self, app: ASGIApp) -> None:
        # POST, too: /v1/papers:batchGet and /v1/designs read by it.
        super().__init__(
            app, allow_origins=["*"], allow_methods=["GET", "HEAD", "POST"], allow_headers=_ALLOWED, max_age=_A_DAY
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        if scope["type"] == "http" and b"origin" in dict(scope["headers"]):
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)
