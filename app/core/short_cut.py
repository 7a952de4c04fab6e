"""The short way to an endpoint: by a plan that is ready, past the layers that a plain GET passes for nothing."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from app.core.compression import SMALLEST, Compression
from app.core.conditions import coding_of
from app.core.etag import JSON
from app.core.plan import Plan, Plans
from app.core.routes import OUTCOME

_FIRST_ERROR: Final = 400
_JSON: Final = (b"content-type", JSON.encode())
_VARIES: Final = (b"vary", b"Accept-Encoding")
_ELSEWHERE: Final = frozenset({b"content-length", b"transfer-encoding", b"authorization", b"if-match"})
"""What comes with a body, or with a key that was not looked at yet, or is meant for one state."""


class ShortCut:
    """Runs the endpoint of a plain GET by itself. What came of it, unless it is a plain answer, goes the usual way.

    Only for who has been let in: nothing is asked here about who asks.
    """

    def __init__(self, app: ASGIApp, plans: Plans, compression: Compression) -> None:
        self._app: Final = app
        self._plans: Final = plans
        self._compression: Final = compression

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        raw = scope["headers"] if scope["type"] == "http" else []
        headers = dict(raw)
        if (
            raw
            and scope["method"] == "GET"
            and len(headers) == len(raw)  # no header came more than once
            and _ELSEWHERE.isdisjoint(headers)
            and not scope.get("root_path")
            and (found := self._plans.find(scope["path"])) is not None
        ):
            plan, scope["path_params"] = found
            scope["route"] = plan.route
            bind_contextvars(request_id=scope.get("request_id", ""))
            outcome = await _outcome(plan, Request(scope, receive, send))
            accepted = headers.get(b"accept-encoding")
            if outcome is not None and await self._sent(outcome, coding_of(accepted) if accepted else "", send):
                return
            scope[OUTCOME] = outcome
        await self._app(scope, receive, send)

    async def _sent(self, outcome: Response | Exception, coding: str, send: Send) -> bool:
        """Send it, where it is whole and the layers on the usual way would do no more to it; whether it was."""
        body = getattr(outcome, "body", None)
        if not isinstance(outcome, Response) or body is None or outcome.background is not None:
            return False
        headers = outcome.raw_headers
        if outcome.status_code >= _FIRST_ERROR:
            return False
        if len(body) >= SMALLEST:
            if _JSON not in headers or _VARIES not in headers:
                return False
            headers, body = self._compression.coded(coding, headers, body)
        await send({"type": "http.response.start", "status": outcome.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return True


async def _outcome(plan: Plan, request: Request) -> Response | Exception | None:
    """What the endpoint returns or raises; None where it was not run, because something is not as it has to be."""
    try:
        values = await plan.values(request)
    except Exception:  # noqa: BLE001  # FastAPI gets there again, and has it answered
        return None
    if values is None:
        return None
    try:
        response: Response = await plan.route.endpoint(**values)
    except Exception as error:  # noqa: BLE001  # it is raised where the usual way would have raised it
        return error
    return response
