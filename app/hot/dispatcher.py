"""The ASGI layer in front of FastAPI: hot addresses from the cache, their ETag compared first; all else goes on."""

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.compression import Compression
from app.core.conditions import Conditions, conditions_of
from app.core.etag import JSON, READS, held_tag, served
from app.hot.cache import Answer, Headers, Key
from app.hot.capture import capture
from app.hot.serving import Serving
from app.hot.subjects import PLACES, Subject, subject_of

_OK: Final = 200
_DOCUMENT_HEADERS: Final[Headers] = [
    *((name.lower().encode(), value.encode()) for name, value in served("").items() if name != "ETag"),
    (b"content-type", JSON.encode()),
]


class Hot:
    """What the application inside answers to a plain GET, kept and sent again while it holds."""

    def __init__(self, app: ASGIApp, serving: Serving, compression: Compression) -> None:
        self._app: Final = app
        self._serving: Final = serving
        self._coded: Final = compression.coded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        if (
            scope["type"] != "http"
            or scope["query_string"]
            or not scope["path"].startswith(PLACES)
            or scope["method"] not in READS
        ):
            await self._app(scope, receive, send)
            return
        asked = conditions_of(scope)
        key = (scope["path"], asked.coding)
        answer = self._serving.kept(key)
        if answer is None or answer.version is not None or asked.has_body:
            subject = subject_of(scope["path"])
            if subject is None or asked.has_body:  # a body is for FastAPI to refuse
                await self._app(scope, receive, send)
                return
            answer, waited = await self._read(subject, key, asked, scope, receive)
        else:
            self._serving.hits += 1
            waited = asked.wait_s > 0 and answer.route.endswith("{reproduction_id}")
        scope["route_template"] = answer.route
        extra = [(b"preference-applied", b"wait=%d" % asked.wait_s)] if waited and asked.wait_s else []
        await _send(scope, send, answer, asked.held, extra)

    async def _read(
        self, subject: Subject, key: Key, asked: Conditions, scope: Scope, receive: Receive
    ) -> tuple[Answer, bool]:
        async def read() -> Answer:
            return await (self._run if subject.run else self._fresh)(subject, key, scope)

        if asked.wait_s and subject.run:
            return await self._serving.waiting.until_finished(subject.name, asked.wait_s, receive, read)
        return await read(), False

    async def _run(self, subject: Subject, key: Key, scope: Scope) -> Answer:
        """A run changes too often for messages: its answer is kept with the version of the row that it shows."""
        assert subject.run is not None  # noqa: S101  # the caller looked
        version = await self._serving.version(subject.run)
        kept = self._serving.cache.get(key)
        if kept is not None and version is not None and kept.version == version:
            self._serving.hits += 1
            return kept
        return await self._fresh(subject, key, scope, version)

    async def _fresh(self, subject: Subject, key: Key, scope: Scope, version: str | None = None) -> Answer:
        if (arxiv_id := subject.document) is not None:
            answer = await self._document(subject, key, arxiv_id)
            if answer is not None:
                return answer

        async def fill() -> Answer:
            with self._serving.cache.fill(subject.name) as under_way:
                answer = await capture(self._app, scope, key[1])
                answer.route = subject.route
                answer.version = version if answer.unfinished else None
                if answer.status == _OK and (answer.version is not None or not answer.unfinished):
                    self._serving.cache.put(key, answer, under_way)
            if subject.run and not answer.unfinished:
                # Who is told that the run has ended reads its verdict next, perhaps from another process.
                await self._serving.settled()
            return answer

        self._serving.misses += 1
        return await self._serving.turnstile.fresh(key, fill)

    async def _document(self, subject: Subject, key: Key, arxiv_id: str) -> Answer | None:
        """The document straight from its row, with the headers that the application would give it."""
        with self._serving.cache.fill(subject.name) as under_way:
            found = await self._serving.loader.document(arxiv_id)
            if found is None:
                return None
            etag, body = found
            headers = [*_DOCUMENT_HEADERS, (b"etag", etag.encode()), (b"content-length", b"%d" % len(body))]
            headers, body = self._coded(key[1], headers, body)
            answer = Answer(_OK, headers, body, subject.route)
            self._serving.cache.put(key, answer, under_way)
        self._serving.misses += 1
        return answer


async def _send(scope: Scope, send: Send, answer: Answer, held: str | None, extra: Headers) -> None:
    tag = held_tag(held, answer.etag) if held is not None and answer.status == _OK else None
    if tag is None:
        headers = [*answer.headers, *extra] if extra else answer.headers
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        body = answer.body if scope["method"] == "GET" else b""
        await send({"type": "http.response.body", "body": body})
        return
    name = tag.encode("latin-1")
    headers = [(key, name if key == b"etag" else value) for key, value in answer.unchanged]
    await send({"type": "http.response.start", "status": 304, "headers": [*headers, *extra]})
    await send({"type": "http.response.body", "body": b""})
