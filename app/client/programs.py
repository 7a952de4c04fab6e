"""What the client does with a call: sends it again where that helps, asks for what is new only, walks pages."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import wraps
from itertools import count
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar

import httpx
from pydantic import ValidationError

from app.client.cache import EtagCache
from app.client.calls import Call
from app.client.effects import Emit, Open, Program, Request, Response, Send, Sleep
from app.client.errors import UnexpectedAnswerError, UnreachableError, problem_error
from app.client.models import Page
from app.client.retries import Retries, may_repeat, never_arrived, retry_after_of, was_refused

P = ParamSpec("P")
Result = TypeVar("Result")
Item = TypeVar("Item")
PAGE: Final = 100
_UNCHANGED: Final = 304
_FIRST_REFUSAL: Final = 400
_ERRNO: Final = re.compile(r"^\[Errno -?\d+\] ")


@dataclass(frozen=True, slots=True)
class Context:
    """What all programs of a client share."""

    server: str
    retries: Retries = field(default_factory=Retries)
    cache: EtagCache = field(default_factory=EtagCache)


@dataclass(frozen=True, slots=True)
class Items(Generic[Item]):
    """A program that emits items of this type."""

    program: Program[None]


def reads(build: Callable[P, Call[Result]]) -> Callable[Concatenate[Context, P], Program[Result]]:
    """The program that makes the call and reads its answer."""

    @wraps(build)
    def program(context: Context, /, *args: P.args, **options: P.kwargs) -> Program[Result]:
        return exchange(context, build(*args, **options))

    return program


def lists(build: Callable[P, Call[Page[Item]]]) -> Callable[Concatenate[Context, P], Items[Item]]:
    """The program that walks the pages of a list and emits its items."""

    @wraps(build)
    def program(context: Context, /, *args: P.args, **options: P.kwargs) -> Items[Item]:
        return Items(_walk(context, build(*args, **options)))

    return program


def exchange(context: Context, call: Call[Result]) -> Program[Result]:
    """Make the call. Raises ProblemError, UnreachableError, UnexpectedAnswerError."""
    return read(call, (yield from answered(context, call.request)))


def text(context: Context, call: Call[Any]) -> Program[str]:
    """Make the call; its answer as the service sent it."""
    return (yield from answered(context, call.request)).body.decode()


def read(call: Call[Result], response: Response) -> Result:
    """What the answer says. Raises UnexpectedAnswerError."""
    try:
        return call.parse(response)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the body"
        message = (
            f"the answer to {call.request.method} {call.request.path} is not what it should be: {where}: {first['msg']}"
        )
        raise UnexpectedAnswerError(message) from error


def answered(context: Context, request: Request) -> Program[Response]:
    """The answer to a request, from the cache where the service says that it still holds."""
    kept = context.cache.find(request) if request.method == "GET" else None
    asked = request
    if kept is not None:
        asked = replace(request, headers={**request.headers, "If-None-Match": kept.tag})
    response = yield from persistently(context, Send(asked))
    if response.status == _UNCHANGED and kept is not None:
        return replace(kept.response, headers={**kept.response.headers, **response.headers})
    refuse(request, response)
    if request.method == "GET":
        context.cache.keep(request, response)
    return response


def persistently(context: Context, effect: Send | Open) -> Program[Response]:
    """The last answer after as many repetitions as help and are allowed. Raises UnreachableError."""
    request = effect.request
    for attempt in count():
        try:
            response: Response = yield effect
        except httpx.RequestError as error:
            repeat = isinstance(error, httpx.TransportError) and (may_repeat(request) or never_arrived(error))
            wait = context.retries.wait_s(attempt, None) if repeat else None
            if wait is None:
                raise UnreachableError(_unreachable(context, error)) from error
        else:
            refused = was_refused(request, response)
            wait = context.retries.wait_s(attempt, retry_after_of(response)) if refused else None
            if wait is None:
                return response
        yield Sleep(wait)
    raise AssertionError


def refuse(request: Request, response: Response) -> None:
    """Raises ProblemError for a refusal, UnexpectedAnswerError for what no request of ours can be answered with."""
    if response.status >= _FIRST_REFUSAL:
        raise problem_error(response.status, response.headers, response.body, retry_after_of(response))
    if not httpx.codes.is_success(response.status):
        message = f"{request.method} {request.path} was answered with {response.status}"
        raise UnexpectedAnswerError(message)


def _unreachable(context: Context, error: httpx.RequestError) -> str:
    why = _ERRNO.sub("", str(error)) or type(error).__name__
    return f"{context.server} does not answer: {why}"


def _walk(context: Context, call: Call[Page[Item]]) -> Program[None]:
    left, cursor = call.most, None
    while left is None or left > 0:
        size = PAGE if left is None else min(left, PAGE)
        page = yield from exchange(context, call.page(size, cursor))
        for item in page.items:
            yield Emit(item)
        left = None if left is None else left - len(page.items)
        cursor = page.next_cursor
        if cursor is None:
            return
