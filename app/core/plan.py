"""What FastAPI does to answer a plain GET of a route, worked out once and not for each request.

FastAPI walks dependencies, looks into what kind of callable each is, and checks every kind of parameter, also of those
that a route has none of: at a hundred microseconds, that is most of what a short answer costs. Whatever is out of the
ordinary stays FastAPI's: another kind of dependency has no plan, and a value that does not fit leads back to it, so
that it alone says what is wrong.
"""

import re
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from inspect import iscoroutinefunction, signature
from typing import Any, Final, TypeAlias

from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import request_params_to_args
from fastapi.routing import APIRoute
from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from app.core.routes import ThreadedRoute

Values: TypeAlias = dict[str, Any]
_PLAIN: Final = (str, int, float, bool, type(None), Enum)
"""Defaults that nobody changes."""


@dataclass(frozen=True, slots=True)
class _Step:
    """A dependency, or the endpoint itself: what it is called with."""

    call: Callable[..., Coroutine[Any, Any, Any]]
    name: str | None
    before: "Sequence[_Step]"
    path: Sequence[tuple[str, str, Callable[..., Any]]]
    """Of each parameter in the path: by what name the endpoint takes it, by what name the path has it, its check."""
    query: Sequence[Any]
    headers: Sequence[Any]
    unasked: Values | None
    """What the parameters of the query are where there is none; None where one is needed."""
    request_as: str | None

    @classmethod
    def of(cls, dependant: Dependant) -> "_Step | None":
        """The step for what FastAPI has found out; None where that is more than is done here."""
        before = [cls.of(one) for one in dependant.dependencies]
        if not _is_plain(dependant) or None in before:
            return None
        unasked, errors = request_params_to_args(dependant.query_params, QueryParams(""))
        if not all(isinstance(value, _PLAIN) for value in unasked.values()):
            return None
        return cls(
            dependant.call,  # type: ignore[arg-type]  # `_is_plain` looked
            dependant.name,
            [one for one in before if one is not None],
            [(field.name, field.alias, field.validate) for field in dependant.path_params],
            dependant.query_params,
            dependant.header_params,
            None if errors else unasked,
            dependant.request_param_name,
        )

    async def values(self, request: Request, known: dict[Any, Any]) -> Values | None:
        """What to call it with; None where FastAPI has to look. Raises what a dependency raises."""
        values: Values = {}
        for step in self.before:
            if step.call not in known:
                arguments = await step.values(request, known)
                if arguments is None:
                    return None
                known[step.call] = await step.call(**arguments)
            if step.name is not None:
                values[step.name] = known[step.call]
        for name, alias, check in self.path:
            values[name], errors = check(request.scope["path_params"].get(alias), {}, loc=("path", alias))
            if errors:
                return None
        if not self._ask(request, values):
            return None
        if self.request_as is not None:
            values[self.request_as] = request
        return values

    def _ask(self, request: Request, values: Values) -> bool:
        """Add what stands in the query and in headers; whether it is as it has to be."""
        if not request.scope["query_string"]:
            if self.unasked is None:
                return False
            values.update(self.unasked)
        elif self.query:
            found, errors = request_params_to_args(self.query, request.query_params)
            values.update(found)
            if errors:
                return False
        if self.headers:
            found, errors = request_params_to_args(self.headers, Headers(scope=request.scope))
            values.update(found)
            return not errors
        return True


def _is_plain(dependant: Dependant) -> bool:
    return (
        iscoroutinefunction(dependant.call)
        and dependant.use_cache
        and dependant.concurrency is None
        and not (dependant.body_params or dependant.cookie_params or dependant.own_oauth_scopes)
        and not (dependant.response_param_name or dependant.background_tasks_param_name)
        and not (dependant.http_connection_param_name or dependant.security_scopes_param_name)
    )


class Plan:
    """How to answer a plain GET of one route."""

    def __init__(self, route: APIRoute, endpoint: _Step) -> None:
        self.route: Final = route
        self._endpoint: Final = endpoint

    @classmethod
    def of(cls, route: BaseRoute) -> "Plan | None":
        """The plan; None where only FastAPI can answer."""
        if not isinstance(route, ThreadedRoute) or not vars(type(route)).get("may_be_planned"):
            return None
        returned = signature(route.endpoint).return_annotation
        endpoint = _Step.of(route.dependant)
        if endpoint is None or not (isinstance(returned, type) and issubclass(returned, Response)):
            return None
        return cls(route, endpoint)

    async def values(self, request: Request) -> Values | None:
        """What the endpoint is called with; None where FastAPI has to look. Raises what a dependency raises."""
        return await self._endpoint.values(request, {})


class Plans:
    """The plan for an address: found by its first segments, and among the few that share them by their order."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self._by_place: Final[dict[str, list[tuple[re.Pattern[str], Mapping[str, Any], Plan | None]]]] = {}
        for route in routes:
            path, methods = str(getattr(route, "path", "/{}")), getattr(route, "methods", None)
            if methods is None or "GET" in methods:
                place = _place(path)
                # What has a parameter there could be anywhere below it, and has no plan.
                plan = Plan.of(route) if "{" not in place else None
                if isinstance(route, Route):
                    entry = route.path_regex, route.param_convertors, plan
                    self._by_place.setdefault(place, []).append(entry)

    def __iter__(self) -> Iterator[Plan]:
        return (plan for entries in self._by_place.values() for _, _, plan in entries if plan is not None)

    def find(self, path: str) -> tuple[Plan, dict[str, Any]] | None:
        """The plan, and the parameters in the path; None where there is none."""
        for pattern, convertors, plan in self._by_place.get(_place(path), ()):
            match = pattern.match(path)
            if match is not None:
                found = match.groupdict()
                return (plan, {name: convertors[name].convert(found[name]) for name in found}) if plan else None
        return None


def _place(path: str) -> str:
    """The first two segments: `/v1/papers`."""
    return "/".join(path.split("/", 3)[:3])
