"""The rules of the house, as far as a program can see them."""

import ast
import json
import pkgutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

import app
from app.access.routes import PREFIX, ProtectedRoute, PublicRoute
from app.access.scopes import Scope
from app.api import PROTECTED, PUBLIC, WELL_KNOWN, v1
from app.core.errors import AppError

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(path for folder in ("app", "workers") for path in (ROOT / folder).rglob("*.py"))
SLOW = {"scipy.stats", "scipy.optimize", "statsmodels", "pandas"}
"""Seconds of importing that the service starts without: what uses a part of them brings it in."""
READS, CHANGES = {"GET"}, {"POST", "PUT", "PATCH", "DELETE"}
MAX_LINES = 300
BOTH = {True: (*PUBLIC, *WELL_KNOWN), False: PROTECTED}
QUESTIONS = {
    ("/designs", "post_design"): "app/designs",
    ("/papers:batchGet", "batch_get"): "app/papers/batch.py",
}
"""Public all the same: POST only because the question has a body. The room each lives in writes nothing."""
NOT_FOR_EVERYBODY = {
    ("/audit", "get_audit"),
    ("/webhooks", "get_webhooks"),
    ("/webhooks/{webhook_id}", "get_webhook"),
    ("/webhooks/{webhook_id}/deliveries", "get_deliveries"),
}
"""Reads all the same, that take a key."""
WRITES = {"add", "add_all", "delete", "insert", "merge", "update", "write_document", "after_commit", "text"}


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _modules() -> Iterator[str]:
    for module in pkgutil.walk_packages(app.__path__, "app."):
        if not module.name.endswith("__main__"):
            yield module.name


# --- transactions


def _commits(tree: ast.AST) -> list[int]:
    """The lines in which something named commit is called, or handed on to be called."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr == "commit")
        or (isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.strip().lower() == "commit")
    ]


WAYS_TO_COMMIT = (
    "session.commit()",
    "connection.commit()",
    "end = session.commit",
    "execute('COMMIT')",
    "getattr(session, 'commit')",
)


@pytest.mark.parametrize("code", WAYS_TO_COMMIT)
def test_a_commit_is_recognised(code: str) -> None:
    assert _commits(ast.parse(code)) == [1]


def test_commit_stands_in_the_unit_of_work_alone() -> None:
    found = {str(path.relative_to(ROOT)): lines for path in SOURCES if (lines := _commits(_tree(path)))}
    assert set(found) == {"app/core/db.py"}
    assert len(found["app/core/db.py"]) == 1


def test_sessions_are_opened_by_the_unit_of_work_alone() -> None:
    makers = {"Session", "sessionmaker", "scoped_session", "create_engine"}
    found = {
        str(path.relative_to(ROOT))
        for path in SOURCES
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in makers
    }
    assert found == {"app/core/db.py"}


# --- the API


def _routers() -> dict[str, APIRouter]:
    """Every router of a feature, by where it stands."""
    return {
        f"{name}.{attribute}": value
        for name in _modules()
        if name.endswith("endpoints")
        for attribute, value in vars(import_module(name)).items()
        if isinstance(value, APIRouter)
    }


def test_every_feature_with_endpoints_is_found() -> None:
    assert {name.split(".")[1] for name in _routers()} >= {"papers", "claims", "drivers", "reproductions", "verdicts"}


def test_every_router_is_either_public_or_protected() -> None:
    listed = Counter(id(router) for router in (*PUBLIC, *PROTECTED, *WELL_KNOWN))
    assert {name: listed[id(router)] for name, router in _routers().items()} == dict.fromkeys(_routers(), 1)
    assert len(listed) == len(_routers())


def _methods(routers: tuple[APIRouter, ...]) -> dict[tuple[str, str], set[str]]:
    """The methods of each route, by its path and function."""
    found = {}
    for route in (route for router in routers for route in router.routes):
        assert isinstance(route, APIRoute)
        found[route.path.removeprefix(PREFIX), route.name] = set(route.methods or ())
    return found


def test_what_is_public_only_reads() -> None:
    methods = _methods(BOTH[True])
    assert methods
    assert {route for route, used in methods.items() if not used <= READS} <= set(QUESTIONS)
    assert {frozenset(methods[route]) for route in QUESTIONS} <= {frozenset({"POST"})}


@pytest.mark.parametrize("folder", QUESTIONS.values())
def test_a_question_with_a_body_keeps_nothing(folder: str) -> None:
    sources = [path for path in SOURCES if path.is_relative_to(ROOT / folder)]
    assert sources
    called = {
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
        for path in sources
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Call)
    }
    assert called & WRITES == set()


def test_what_changes_something_is_protected() -> None:
    methods = _methods(PROTECTED)
    assert methods
    assert {route for route, used in methods.items() if not used <= CHANGES} == NOT_FOR_EVERYBODY
    assert {frozenset(methods[route]) for route in NOT_FOR_EVERYBODY} == {frozenset(READS)}


def test_every_route_asks_at_the_door() -> None:
    routes = {public: [route for router in routers for route in router.routes] for public, routers in BOTH.items()}
    assert {type(route) for route in routes[True]} == {PublicRoute}
    assert all(isinstance(route, ProtectedRoute) and route.scope in Scope for route in routes[False])
    scopes = {route.scope for route in routes[False] if isinstance(route, ProtectedRoute)}
    assert scopes == set(Scope)  # `read` is what any key may do: have webhooks of its own


def test_version_one_is_made_of_these_routers_and_nothing_else() -> None:
    service = FastAPI()
    service.router.routes.extend(v1().routes)
    served = Counter(method.upper() for path in service.openapi()["paths"].values() for method in path)
    listed = Counter(method for methods in _methods((*PUBLIC, *PROTECTED)).values() for method in methods)
    assert served == listed
    assert all(path.startswith("/v1/") for path in service.openapi()["paths"])


def _errors(base: type[AppError]) -> Iterator[type[AppError]]:
    for error in base.__subclasses__():
        yield error
        yield from _errors(error)


def test_every_error_has_a_code_of_its_own() -> None:
    for name in _modules():
        import_module(name)
    errors = {error for error in _errors(AppError) if error.__module__.startswith("app.")}
    assert len(errors) > 15
    codes = Counter(error.code for error in errors)
    assert [code for code, times in codes.items() if times > 1] == []
    assert all(error.__name__.endswith("Error") for error in errors)


# --- what is loaded


def test_the_arrows_hold() -> None:
    checker = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([checker, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def _forbidden() -> set[str]:
    """The worker's libraries, as the contract of import-linter names them."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    (contract,) = [one for one in contracts if one["type"] == "forbidden" and one["source_modules"] == ["app"]]
    return set(contract["forbidden_modules"])


def test_the_service_loads_none_of_the_workers_libraries() -> None:
    forbidden = _forbidden()
    assert {"torch", "transformers", "safetensors"} <= forbidden
    program = f"""
import importlib, json, sys
loaded = []
for names in (["app.main"], {sorted(_modules())!r}):
    for name in names:
        importlib.import_module(name)
    loaded.append(sorted({{name.partition('.')[0] for name in sys.modules}} | ({SLOW!r} & sys.modules.keys())))
print(json.dumps(loaded))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=600, check=True
    )
    service, everything = (set(names) for names in json.loads(done.stdout.splitlines()[-1]))
    assert {"app", "fastapi", "sqlalchemy"} <= service <= everything
    assert service & SLOW == set()
    assert service & (forbidden | {"workers"}) == set()
    assert everything & (forbidden | {"workers"}) == set()


# --- sizes


def test_no_file_is_longer_than_the_longest_allowed() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}


def test_every_module_says_what_it_is_for() -> None:
    assert [str(path.relative_to(ROOT)) for path in SOURCES if not ast.get_docstring(_tree(path))] == []


def test_every_test_lies_in_a_room() -> None:
    """deploy/test.sh runs rooms, each in one of two environments: what lay beside them would never run."""
    assert [path.name for path in (ROOT / "tests").glob("test_*.py")] == []
    assert not list((ROOT / "tests").rglob("*_test.py"))
