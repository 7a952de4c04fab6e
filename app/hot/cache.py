"""Answers by address and coding: bounded by bytes, the least used goes first, forgotten when their subject changes."""

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, TypeAlias

from app.core.etag import plain_tag
from app.core.journal import Outcome

Headers: TypeAlias = list[tuple[bytes, bytes]]
Key: TypeAlias = tuple[str, str]
"""The path, and the coding of the body ("" for none)."""
EVERYTHING: Final = "*"
_OVERHEAD: Final = 2000
"""Bytes that an answer takes beside its body: headers, keys, tables."""
_OF_THE_BODY: Final = frozenset({b"content-length", b"content-type", b"content-encoding"})


@dataclass(slots=True)
class Answer:
    """One answer of the application, ready to be sent again."""

    status: int
    headers: Headers
    body: bytes
    route: str = ""
    """The route's template, for the metrics."""
    version: str | None = None
    """Of what changes without a message: the state that the answer shows. It holds while that is the present one."""
    tag: bytes = b""
    """As it was sent, with the name of the coding."""
    outcome: Outcome | None = None
    """Of a plain GET, in the journal, once there was one."""
    outcome_unchanged: Outcome | None = None
    _lines: tuple[bytes, bytes] | None = None

    def __post_init__(self) -> None:
        self.tag = dict(self.headers).get(b"etag", b"")

    @property
    def etag(self) -> str:
        """Without the name of the coding."""
        return plain_tag(self.tag.decode("latin-1"))

    @property
    def unchanged(self) -> Headers:
        """The headers of a 304."""
        return [pair for pair in self.headers if pair[0] not in _OF_THE_BODY]

    @property
    def whole(self) -> dict[str, Any]:
        """The message that carries the body."""
        return {"type": "http.response.body", "body": self.body}

    @property
    def lines(self) -> tuple[bytes, bytes]:
        """The headers of a 200 and of a 304 as they go over the wire, up to the id of the request."""
        if self._lines is None:
            self._lines = _lines(self.headers), _lines(self.unchanged)
        return self._lines

    @property
    def unfinished(self) -> bool:
        """Whether it says that the work goes on; a problem that may pass says nothing of it."""
        return self.status < HTTPStatus.BAD_REQUEST and any(name == b"retry-after" for name, _ in self.headers)


def _lines(headers: Headers) -> bytes:
    return b"".join([*(b"%b: %b\r\n" % header for header in headers), b"x-request-id: "])


@dataclass(slots=True)
class Fill:
    """A read that is under way; `overtaken` once its subject has changed."""

    subject: str
    overtaken: bool = False


class Cache:
    """Not for threads: everything happens on the event loop."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._answers: Final[OrderedDict[Key, tuple[str, Answer]]] = OrderedDict()
        self._keys: Final[defaultdict[str, set[Key]]] = defaultdict(set)
        self._open: Final[dict[int, Fill]] = {}
        self._watchers: Final[defaultdict[str, set[asyncio.Future[None]]]] = defaultdict(set)
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, key: Key) -> Answer | None:
        """The answer that is kept for this key."""
        found = self._answers.get(key)
        if found is None:
            return None
        self._answers.move_to_end(key)
        return found[1]

    @contextmanager
    def fill(self, subject: str) -> Iterator[Fill]:
        """Around a read of this subject: tells whether it changed meanwhile."""
        fill = Fill(subject)
        self._open[id(fill)] = fill
        try:
            yield fill
        finally:
            del self._open[id(fill)]

    def put(self, key: Key, answer: Answer, fill: Fill) -> None:
        """Keep the answer, unless its subject changed while it was read or it is larger than the cache."""
        size = len(answer.body) + _OVERHEAD
        if fill.overtaken or size > self._most:
            return
        self._drop(key)
        self._answers[key] = (fill.subject, answer)
        self._keys[fill.subject].add(key)
        self.bytes += size
        while self.bytes > self._most:
            self._drop(next(iter(self._answers)))

    def forget(self, subject: str) -> None:
        """Drop what is kept about the subject, or everything, and tell who watches it."""
        for fill in self._open.values():
            if subject in {fill.subject, EVERYTHING}:
                fill.overtaken = True
        keys = list(self._answers) if subject == EVERYTHING else list(self._keys.get(subject, ()))
        for key in keys:
            self._drop(key)
        for watched in list(self._watchers) if subject == EVERYTHING else [subject]:
            for waiter in self._watchers.pop(watched, ()):
                if not waiter.done():
                    waiter.set_result(None)

    @contextmanager
    def watch(self, subject: str) -> Iterator[asyncio.Future[None]]:
        """A future that is done when the subject changes next."""
        waiter = asyncio.get_running_loop().create_future()
        self._watchers[subject].add(waiter)
        try:
            yield waiter
        finally:
            if (waiters := self._watchers.get(subject)) is not None:
                waiters.discard(waiter)
                if not waiters:
                    del self._watchers[subject]

    def _drop(self, key: Key) -> None:
        found = self._answers.pop(key, None)
        if found is None:
            return
        subject, answer = found
        self.bytes -= len(answer.body) + _OVERHEAD
        keys = self._keys[subject]
        keys.discard(key)
        if not keys:
            del self._keys[subject]
