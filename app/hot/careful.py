"""`Prefer: wait` for whoever is answered past memory, as everybody is where reading takes a key."""

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.conditions import conditions_of
from app.core.etag import READS
from app.hot.capture import captured
from app.hot.subjects import Subject, subject_of
from app.hot.waiting import Waiting


class Careful:
    """Asks the application again until the run has ended, with all that the client sent: nothing is kept."""

    def __init__(self, app: ASGIApp, waiting: Waiting) -> None:
        self._app: Final = app
        self._waiting: Final = waiting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        run = _run_of(scope)
        asked = conditions_of(scope) if run is not None else None
        if run is None or asked is None or not asked.wait_s or asked.has_body:
            await self._app(scope, receive, send)
            return
        answer, waited = await self._waiting.until_finished(
            run.name, asked.wait_s, receive, lambda: captured(self._app, dict(scope))
        )
        scope["route_template"] = run.route
        applied = [(b"preference-applied", b"wait=%d" % asked.wait_s)] if waited else []
        headers = [*answer.headers, *applied]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send(answer.whole)


def _run_of(scope: Scope) -> Subject | None:
    subject = subject_of(scope["path"]) if scope["type"] == "http" and scope["method"] in READS else None
    return subject if subject is not None and subject.run is not None else None
