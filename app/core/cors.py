"""Public reads from pages of any origin. What changes something needs a key, and pages of others get to send none."""

from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.etag import OPEN_LINES

_ALLOWED: Final = ("Content-Type", "If-None-Match", "Last-Event-ID", "Prefer", "X-Request-Id")
_A_DAY: Final = 24 * 3600
_KEPT_BY_NONE: Final = (b"cache-control", b"no-store")
_OPEN_NAMES: Final = frozenset(name for name, _ in OPEN_LINES)


class PublicCors(CORSMiddleware):
    """Starlette's for what a page asks beforehand.

    What a cache may keep says by itself that all pages may read it (app.core.etag), in the same words to everybody:
    with `Vary: Origin`, caches would keep it once for each site that shows it.
    """

    def __init__(self, app: ASGIApp) -> None:
        # POST, too: /v1/papers:batchGet and /v1/designs read by it.
        super().__init__(
            app, allow_origins=["*"], allow_methods=["GET", "HEAD", "POST"], allow_headers=_ALLOWED, max_age=_A_DAY
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        headers = dict(scope["headers"]) if scope["type"] == "http" else {}
        # Who sends a key is no page: none was let to, so there is nobody to open the answer for.
        if b"origin" not in headers or b"authorization" in headers:
            await self.app(scope, receive, send)
        elif scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, _opening(send))


def _opening(send: Send) -> Send:
    """Send what no cache keeps, problems most of all, so that pages may read it as well."""

    async def send_opened(message: Message) -> None:
        if message["type"] == "http.response.start" and _KEPT_BY_NONE in message["headers"]:
            headers = [pair for pair in message["headers"] if pair[0] not in _OPEN_NAMES]
            message = {**message, "headers": [*headers, *OPEN_LINES]}
        await send(message)

    return send_opened
