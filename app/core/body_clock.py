"""How long the service waits for a body: a client that dribbles it is answered with 408.

The clock runs inside ASGI, while the service waits for the client and not the other way about.
"""

import asyncio
from http import HTTPStatus
from typing import Final

from fastapi import HTTPException  # noqa: TID251  # the only one that FastAPI lets through while it reads a body
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.settings import LimitSettings


class BodyClock:
    """Wraps an application: a body that does not arrive in time is answered with 408."""

    def __init__(self, app: ASGIApp, limits: LimitSettings) -> None:
        self.app: Final = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        if scope["type"] == "http":
            receive = _Body(receive, self._limits)
        await self.app(scope, receive, send)


class _Body:
    def __init__(self, receive: Receive, limits: LimitSettings) -> None:
        self._receive, self._limits = receive, limits
        self._deadline: float | None = None
        self._complete = False

    async def __call__(self) -> Message:
        if self._complete:
            return await self._receive()
        loop = asyncio.get_running_loop()
        self._deadline = self._deadline or loop.time() + self._limits.body_s
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, headers={"Connection": "close"}) from None
        self._deadline += len(message.get("body", b"")) / self._limits.body_bytes_per_s
        self._complete = not message.get("more_body", False)
        return message
