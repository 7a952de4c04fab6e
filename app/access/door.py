"""The door in front of what answers before FastAPI is reached: only who may read what is public goes that way."""

import time
from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from app.access.address import limited_as
from app.access.gate import COUNTED, Gate


class Door:
    """Sends public reads to `quick`, and everything that has to be looked at to `careful`.

    A key that is sent has to be valid. It is looked at here where the address `is_hot`, elsewhere by the route.
    """

    def __init__(
        self, quick: ASGIApp, careful: ASGIApp, gate: Gate, is_hot: Callable[[str], object] = lambda _: False
    ) -> None:
        self._quick: Final = quick
        self._careful: Final = careful
        self._gate: Final = gate
        self._is_hot: Final = is_hot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        way = self._quick if scope["type"] != "http" or await self._may_pass(scope) else self._careful
        await way(scope, receive, self._gate.telling(scope, send) if COUNTED in scope else send)

    async def _may_pass(self, scope: Scope) -> bool:
        headers, reads = dict(scope["headers"]), scope["method"] in {"GET", "HEAD"}
        has_key = b"authorization" in headers
        if not self._gate.reads_are_public or b"if-match" in headers:
            return False
        if has_key and (not reads or scope["query_string"] or not self._is_hot(scope["path"])):
            return False
        if reads:
            address = limited_as(self._gate.address_of(scope))
            if self._gate.requests.wait_s(address, time.monotonic()):
                return False  # whoever counts it again there refuses it
            scope[COUNTED] = address
        return not has_key or await self._gate.knows(scope)
