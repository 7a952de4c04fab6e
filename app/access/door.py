"""The door in front of what answers before FastAPI is reached: only who may read what is public goes that way."""

import time
from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from app.access.address import limited_as
from app.access.gate import COUNTED, Gate

_HAS_KEY: Final = "has_key"


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
        may_pass = scope["type"] != "http" or self._may_pass(scope)
        if may_pass and _HAS_KEY in scope:
            may_pass = await self._gate.knows(scope)
        way = self._quick if may_pass else self._careful
        await way(scope, receive, self._gate.telling(scope, send) if COUNTED in scope else send)

    def _may_pass(self, scope: Scope) -> bool:
        """Whether it may; where there is a key, if that is valid."""
        headers, reads = dict(scope["headers"]), scope["method"] in {"GET", "HEAD"}
        if not self._gate.reads_are_public or b"if-match" in headers:
            return False
        if b"authorization" in headers:
            if not reads or scope["query_string"] or not self._is_hot(scope["path"]):
                return False
            scope[_HAS_KEY] = True
        if reads:
            address = limited_as(self._gate.address_of(scope))
            if self._gate.requests.wait_s(address, time.monotonic()):
                return False  # whoever counts it again there refuses it
            scope[COUNTED] = address
        return True
