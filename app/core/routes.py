"""The routes of the service: quick to say that an address is another's, and their endpoints run in our threads."""

from collections.abc import Callable
from typing import Any, ClassVar, Final

from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from app.core.web import threaded

OUTCOME: Final = "outcome"
"""In a request's scope: what the route's endpoint has returned or raised already, when it was run ahead of its turn."""


class ThreadedRoute(APIRoute):
    """Runs its endpoint in a thread of ours, unless it has been run: then it answers with what came of that."""

    may_be_planned: ClassVar[bool] = False
    """Whether a plain GET asks nothing of it beyond its dependencies; said by each class for itself (app.core.plan)."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:  # noqa: ANN401  # APIRoute's own
        super().__init__(path, threaded(endpoint), **options)
        self._head: Final = path.partition("{")[0]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As ever; the beginning of the address is looked at first."""
        if not scope.get("root_path") and not scope["path"].startswith(self._head):
            return Match.NONE, {}
        return super().matches(scope)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or go on with what the endpoint has returned or raised."""
        outcome = scope.get(OUTCOME)
        if outcome is None:
            await super().handle(scope, receive, send)
        elif isinstance(outcome, Exception):
            raise outcome
        else:
            await outcome(scope, receive, send)


class OperationsRoute(ThreadedRoute):
    """A route for those who run the service."""

    may_be_planned = True
