"""What a command loads: an idle second in a terminal is spent on imports."""

import inspect
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pytest
import typer

from app.cli import remote, source
from app.cli.commands import COMMANDS
from tests.client.conftest import script
from tests.client.scripted import Answer, Script

__all__ = ["script"]

ROOT: Final = Path(__file__).resolve().parents[2]
DATABASE: Final = {"sqlalchemy", "psycopg", "alembic"}
SERVICE: Final = {"fastapi", "starlette", "uvicorn", "structlog", "celery", "kombu", "redis", "statsmodels"}
MATHEMATICS: Final = {"numpy", "scipy", "pyarrow"}
PROGRAM: Final = """
import json, sys
sys.argv = ["verdicts", *json.loads(sys.argv[1])]
from app.cli import main
try:
    main()
except SystemExit as end:
    code = end.code
print()
print(json.dumps([code, sorted(sys.modules)]))
"""


def loaded_by(*arguments: str, code: int = 0) -> set[str]:
    """The modules that are there when a command is through, by their first names and in full."""
    argv = [sys.executable, "-c", PROGRAM, json.dumps(arguments)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    ended, modules = json.loads(done.stdout.splitlines()[-1])
    assert (ended or 0) == code, done.stdout + done.stderr
    return set(modules) | {name.partition(".")[0] for name in modules}


def test_the_help_loads_nothing_that_it_does_not_show() -> None:
    assert loaded_by("--help") & (DATABASE | SERVICE | MATHEMATICS | {"httpx", "pydantic", "app.client"}) == set()


def test_the_version_is_the_packages() -> None:
    done = subprocess.run([sys.executable, "-m", "app.cli", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == version("paper-verdicts")


def test_a_command_to_a_service_loads_the_client_and_nothing_of_the_service(script: Script) -> None:
    script.on("/v1/papers", Answer(body={"items": [], "next_cursor": None}))
    loaded = loaded_by("papers", "--server", script.url)
    assert {"httpx", "pydantic"} <= loaded
    assert loaded & (DATABASE | SERVICE | MATHEMATICS | {"app.core", "app.models", "app.papers"}) == set()


def test_where_nothing_runs_nothing_that_would_answer_is_loaded(tmp_path: Path) -> None:
    loaded = loaded_by("papers", "--data-dir", str(tmp_path), code=5)
    assert loaded & ({"sqlalchemy", "alembic"} | (SERVICE - {"structlog"}) | MATHEMATICS) == set()


def test_what_answers_here_is_what_answers_there() -> None:
    """Each side of a command has every method that it may be asked for, with the same parameters."""
    protocols = (
        source.Papers,
        source.Verdicts,
        source.Claims,
        source.Drivers,
        source.Log,
        source.Imports,
        source.Runs,
        source.Webhooks,
    )
    for lazy, protocol in zip(source.LOCAL, protocols, strict=True):
        here = lazy.load()
        for name, asked in vars(protocol).items():
            if not name.startswith("_"):
                expected = list(inspect.signature(asked).parameters)
                assert list(inspect.signature(getattr(here, name)).parameters) == expected
                assert list(inspect.signature(getattr(remote.Remote, name)).parameters) == expected


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_what_the_list_says(name: str) -> None:
    found = COMMANDS[name].what.load()
    words = found.info.help if isinstance(found, typer.Typer) else inspect.getdoc(found)
    assert (words or "").startswith(COMMANDS[name].help)
