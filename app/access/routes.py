"""Routers that ask for a key: what a router is made by says whether it is public or which scope it takes."""

from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Annotated, Any, ClassVar, Final, cast

from fastapi import APIRouter, Depends, Request, Response
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as AsgiScope

from app.access.actor import ACTOR, Actor
from app.access.count import headers_of
from app.access.gate import COUNTED, Gate
from app.access.scopes import Scope
from app.core.routes import OUTCOME, ThreadedRoute
from app.core.web import SESSION_INFO, JsonOnly, problems, refuse_coded

SCHEME: Final = "apiKey"
PREFIX: Final = "/v1"
"""Of every resource of this version."""
_HEADERS: Final = "access_headers"
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def public_router(*, prefix: str = PREFIX, **options: Any) -> APIRouter:  # noqa: ANN401  # APIRouter's own
    """A router of what everybody may read, unless `access.reads` is `keys`. A key that is sent has to be valid."""
    options["responses"] = problems(401, 429) | options.get("responses", {})
    return APIRouter(prefix=prefix, route_class=PublicRoute, **options)


def protected_router(scope: Scope, *, bodies: Any = JsonOnly, **options: Any) -> APIRouter:  # noqa: ANN401  # APIRouter's own
    """A router of what takes a key with this scope: changes, and reads that are not public.

    `bodies` is the dependency that refuses other bodies than are read there.
    """
    route = type("ProtectedRoute", (ProtectedRoute,), {"scope": scope})
    declared = problems(400, 401, 403, 413, 415, 422, 429, 503)
    options["responses"] = declared | options.get("responses", {})
    return APIRouter(prefix=PREFIX, route_class=route, dependencies=[bodies], **options)


def _answering(handler: Handler) -> ASGIApp:
    """The handler as FastAPI wraps it, with errors left to the layer further out."""

    async def app(scope: AsgiScope, receive: Receive, send: Send) -> None:
        async with AsyncExitStack() as request_stack:
            scope["fastapi_inner_astack"] = request_stack
            async with AsyncExitStack() as function_stack:
                scope["fastapi_function_astack"] = function_stack
                response = await handler(Request(scope, receive, send))
            await response(scope, receive, send)

    return app


class PublicRoute(ThreadedRoute):
    """Admits readers."""

    may_be_planned = True

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        openapi_extra: dict[str, Any] | None = None,
        **options: Any,  # noqa: ANN401  # APIRoute's own
    ) -> None:
        extra = {"security": [{}, {SCHEME: []}], **(openapi_extra or {})}
        super().__init__(path, endpoint, openapi_extra=extra, **options)
        self._answer: Final = _answering(self.get_route_handler())

    def get_route_handler(self) -> Handler:
        """The handler, behind the door: nothing of the body is read before."""
        handler = super().get_route_handler()

        async def admitted(request: Request) -> Response:
            await gate_of(request).admit_read(request)
            if request.method == "POST":
                refuse_coded(request)
            return await handler(request)

        return admitted

    async def handle(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answer; where reading takes a key, for its holder's eyes alone."""
        send = _telling(scope, send)
        if not cast("Gate", scope["app"].state.gate).reads_are_public:
            await super().handle(scope, receive, _privately(send))
        elif OUTCOME not in scope and self.methods and scope["method"] in self.methods:
            await self._answer(scope, receive, send)
        else:
            await super().handle(scope, receive, send)


class ProtectedRoute(ThreadedRoute):
    """Admits holders of a key with the scope, and has what they change be their doing."""

    scope: ClassVar[Scope]

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        openapi_extra: dict[str, Any] | None = None,
        **options: Any,  # noqa: ANN401  # as above
    ) -> None:
        extra = {"security": [{SCHEME: [self.scope.value]}], **(openapi_extra or {})}
        super().__init__(path, endpoint, openapi_extra=extra, **options)

    def get_route_handler(self) -> Handler:
        """The handler, behind the door: nothing of the body is read before."""
        handler = super().get_route_handler()

        async def admitted(request: Request) -> Response:
            gate = gate_of(request)
            if request.method == "GET":
                actor = await gate.admit_protected_read(request, self.scope)
            else:
                admitted = await gate.admit_change(request, self.scope)
                actor = admitted.actor
                request.scope[_HEADERS] = headers_of(admitted.counts)
                refuse_coded(request)
            request.scope[SESSION_INFO] = {ACTOR: actor}
            return await handler(request)

        return admitted

    async def handle(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answer, with the limits' headers on whatever the answer is once they were counted."""

        async def send_with_limits(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *scope.get(_HEADERS, [])]}
            await send(message)

        if scope["method"] == "GET":
            send = _telling(scope, send)
        await super().handle(scope, receive, _privately(send_with_limits))


def _privately(send: Send) -> Send:
    """Send what no shared cache keeps and no page of another origin reads."""

    async def send_privately(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [
                (name, value.replace(b"public", b"private") if name == b"cache-control" else value)
                for name, value in message.get("headers", [])
                if not name.startswith(b"access-control-")
            ]
            message = {**message, "headers": headers}
        await send(message)

    return send_privately


def _telling(scope: AsgiScope, send: Send) -> Send:
    """Sends, and tells how the address's requests stand, unless the door in front does."""
    return send if COUNTED in scope else cast("Gate", scope["app"].state.gate).telling(scope, send)


def gate_of(request: Request) -> Gate:
    """The door of the application."""
    return cast("Gate", request.app.state.gate)


async def get_actor(request: Request) -> Actor:
    """Who asks for this change."""
    return cast("Actor", request.scope[SESSION_INFO][ACTOR])


ActorDep = Annotated[Actor, Depends(get_actor)]
