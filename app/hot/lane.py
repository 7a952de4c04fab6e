"""The fast lane: a plain GET whose answer is in memory, in as few steps as it takes. All else goes the usual way.

It has two ends: as an ASGI application, and for a server that asks before it makes a request of it (app.core.quick).
What both send and note is what the layers behind them would: tests hold them to that.
"""

from time import monotonic
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from app.access.tally import Tally
from app.core.conditions import coding_of
from app.core.journal import Journal, Outcome
from app.core.peers import Peer
from app.core.quick import LOOKED
from app.core.requests import Ids
from app.hot.cache import Answer, Headers
from app.hot.serving import Serving

_ELSEWHERE: Final = frozenset(
    {
        b"authorization",
        b"content-length",
        b"expect",
        b"if-match",
        b"origin",
        b"prefer",
        b"transfer-encoding",
        b"upgrade",
        b"x-request-id",
    }
)
"""Headers that ask for more than is done here."""
_OK_LINE: Final = b"HTTP/1.1 200 OK\r\n"
_UNCHANGED_LINE: Final = b"HTTP/1.1 304 Not Modified\r\n"


class Lane:
    """In front of everything."""

    def __init__(self, app: ASGIApp, serving: Serving, journal: Journal, ids: Ids, tally: Tally) -> None:
        self._app: Final = app
        self._passes, self._take = tally.passes, tally.take
        self._serving, self._listener = serving, serving.listener
        self._kept: Final = serving.cache.get
        self._journal, self._entries, self._id = journal, journal.entries, ids.new
        self.peer_of: Final = journal.peers.of

    def at_once(
        self, url: bytes, headers: Headers, peer: Peer, came: float
    ) -> tuple[bytes, bytes, bytes, bytes] | None:
        """The answer to a GET as it goes over the wire, or None."""
        path = url.decode("latin-1")
        found = self._find(path, headers, came)
        if found is None:
            return None
        # What `Tally.passes` and `_noted` do, without the calls.
        if peer.counted:
            peer.counted -= 1
        elif not self._take(peer, headers, came):
            return None
        answer, changed = found
        outcome = answer.outcome if changed else answer.outcome_unchanged
        if outcome is None:
            outcome = self._first(answer, path, changed)
        request_id = self._id()
        entries = self._entries
        if not entries:
            self._journal.begin()
        entries.append((came, monotonic(), request_id, outcome, peer))
        if changed:
            return _OK_LINE, answer.lines[0], request_id, answer.body
        return _UNCHANGED_LINE, answer.lines[1], request_id, b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        if LOOKED in scope:
            await self._app(scope, receive, send)
            return
        began = monotonic()
        plain = scope["type"] == "http" and scope["method"] == "GET" and not scope["query_string"]
        found = self._find(scope["path"], scope["headers"], began) if plain else None
        peer = self.peer_of(scope.get("client"))
        if found is None or not self._passes(peer, scope["headers"], began):
            await self._app(scope, receive, send)
            return
        answer, changed = found
        header = b"x-request-id", self._noted(answer, scope["path"], changed, began, peer)
        if changed:
            await send({"type": "http.response.start", "status": 200, "headers": [*answer.headers, header]})
            await send(answer.whole)
        else:
            await send({"type": "http.response.start", "status": 304, "headers": [*answer.unchanged, header]})
            await send(_NOTHING)

    def _find(self, path: str, raw: Headers, moment: float) -> tuple[Answer, bool] | None:
        """The answer that is kept for this question and holds at this moment; whether it is new to who asks."""
        headers = dict(raw)
        accepted = headers.get(b"accept-encoding")
        answer = self._kept((path, coding_of(accepted) if accepted else ""))
        if (
            answer is None
            or answer.version is not None
            or moment >= self._listener.until
            or len(headers) != len(raw)  # some header came more than once
            or b"host" not in headers  # the protocol refuses it
            or not _ELSEWHERE.isdisjoint(headers)
        ):
            return None
        held = headers.get(b"if-none-match")
        if held is None:
            return answer, True
        return (answer, False) if held == answer.tag else None

    def _noted(self, answer: Answer, path: str, changed: bool, began: float, peer: Peer) -> bytes:  # noqa: FBT001  # too hot for keywords
        """Count it and have it logged, under the id that is returned."""
        outcome = answer.outcome if changed else answer.outcome_unchanged
        if outcome is None:
            outcome = self._first(answer, path, changed)
        request_id = self._id()
        self._journal.note((began, monotonic(), request_id, outcome, peer))
        return request_id

    def _first(self, answer: Answer, path: str, changed: bool) -> Outcome:  # noqa: FBT001  # as above
        address = "GET", path, b"", answer.route
        if changed:
            answer.outcome = outcome = self._journal.outcome(*address, 200, len(answer.body), lane=True)
        else:
            answer.outcome_unchanged = outcome = self._journal.outcome(*address, 304, 0, lane=True)
        return outcome


_NOTHING: Final = {"type": "http.response.body", "body": b""}
