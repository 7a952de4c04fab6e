"""The door in front of what answers before FastAPI is reached: only a public read that sends no key goes that way."""

import time
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from app.access.address import limited_as
from app.access.gate import COUNTED, Gate


class Door:
    """Sends anonymous reads to `quick`, and everything that has to be looked at to `careful`."""

    def __init__(self, quick: ASGIApp, careful: ASGIApp, gate: Gate) -> None:
        self._quick: Final = quick
        self._careful: Final = careful
        self._gate: Final = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        way = self._quick if scope["type"] != "http" or self._may_pass(scope) else self._careful
        await way(scope, receive, self._gate.telling(scope, send) if COUNTED in scope else send)

    def _may_pass(self, scope: Scope) -> bool:
        if not self._gate.reads_are_public or b"authorization" in dict(scope["headers"]):
            return False
        if scope["method"] in {"GET", "HEAD"}:
            address = limited_as(self._gate.address_of(scope))
            if self._gate.requests.wait_s(address, time.monotonic()):
                return False  # whoever counts it again there refuses it
            scope[COUNTED] = address
        return True
