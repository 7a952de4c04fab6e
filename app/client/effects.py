"""What a program of the client asks its surroundings to do. Programs are generators and do no input or output.

A program yields effects and is sent their results; errors of the transport are thrown into it. Two shells carry the
effects out: one waits (`SyncShell`), the other awaits (`AsyncShell`). All that is to be decided is decided once.
"""

from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from app.client.models import Reproduction

Result = TypeVar("Result")
Json = dict[str, Any]
OnProgress = Callable[[Reproduction], Awaitable[object] | object]


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request. `path` is below the service's address; `timeout_s` is for each wait on the connection.

    Its body is `json`, or the bytes of `content`.
    """

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Json | None = None
    content: bytes | None = None
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response. Header names are in lower case. A stream's body is read by `Read` and `NextEvent`."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request; the result is a Response with its whole body."""

    request: Request


@dataclass(frozen=True, slots=True)
class Open:
    """Send a request and leave the body of the Response unread, unless it is an error. Ends what was open before."""

    request: Request


@dataclass(frozen=True, slots=True)
class Read:
    """The next bytes of what was opened; None at its end."""


@dataclass(frozen=True, slots=True)
class NextEvent:
    """The next server-sent event of what was opened, an Event; None at its end."""


@dataclass(frozen=True, slots=True)
class Event:
    """A server-sent event."""

    id: str
    name: str
    data: str
    retry_s: float | None = None


@dataclass(frozen=True, slots=True)
class Close:
    """End what was opened."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Tell:
    """Call this with what there is to say; where it gives an awaitable, the asynchronous shell awaits it."""

    listener: Callable[[Any], Awaitable[object] | object]
    said: object


@dataclass(frozen=True, slots=True)
class Emit:
    """Hand this to whoever iterates."""

    item: object


Effect = Send | Open | Read | NextEvent | Close | Sleep | Tell | Emit
Program = Generator[Effect, Any, Result]
"""Ends with a Result. A program that emits is iterated over instead."""
