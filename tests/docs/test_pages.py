"""Every command and snippet of README.md and docs/ is run, in order, against a real service."""

import json
import os
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from typer.main import get_command

from app.cli.commands import app
from app.protocol.driver import DriverSpec
from tests.docs.blocks import NOT_RUN, NOT_RUN_UNMARKED, ROOT, Block, all_blocks, blocks_of, fences_of, pages
from tests.docs.conftest import Site

PATIENCE_S: Final = 300
KINDS: Final = frozenset({"sh", "python", "toml", "json", "jsonc", "md", "markdown", "yaml"})
_SAVE: Final = '\nstatus=$?\nenv -0 > "$VERDICTS_KEPT"\nexit $status\n'


@pytest.mark.worker
@pytest.mark.parametrize("page", [page for page in pages() if any(block.is_run for block in blocks_of(page))])
def test_a_page_does_what_it_says(page: str, site: Site) -> None:
    for block in blocks_of(page):
        if block.is_run and block.kind == "sh":
            _run_shell(block, site)
        elif block.is_run:
            _run_python(block, site)


def _run_shell(block: Block, site: Site) -> None:
    # README.md names the addresses of a first start.
    code = block.code.replace(".venv/bin/verdicts", "verdicts").replace("http://127.0.0.1:8000", "$SERVER")
    kept = site.folder / "environment"
    script = f"set -euo pipefail\nSERVER={site.environment['SERVER']}\ntrap '{_SAVE}' EXIT\nset -a\n{code}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=site.folder,
        env={**site.environment, "VERDICTS_KEPT": str(kept)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, f"{block.page}:{block.line}\n{done.stdout}\n{done.stderr}"
    told = (one.partition("=") for one in kept.read_text().split("\0") if one)
    site.environment |= {name: value for name, _, value in told if name not in {"_", "SHLVL", "PWD", "OLDPWD"}}


def _run_python(block: Block, site: Site) -> None:
    before, folder = dict(os.environ), Path.cwd()
    os.environ.update(site.environment)
    os.chdir(site.folder)
    try:
        exec(compile(block.code, f"{block.page}:{block.line}", "exec"), {"__name__": "__main__"})  # noqa: S102
    finally:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(before)


@pytest.mark.parametrize("block", all_blocks(), ids=lambda block: f"{block.page}:{block.line}")
def test_a_block_is_well_formed(block: Block) -> None:
    assert block.kind in KINDS
    if block.kind == "sh":
        subprocess.run(["bash", "-n", "-c", block.code], check=True)
    elif block.kind == "python":
        compile(block.code, block.name, "exec")
    elif block.kind == "toml":
        tomllib.loads(block.code)
    elif block.kind == "json":
        json.loads(block.code)


def test_what_is_not_run_is_listed_with_its_reason() -> None:
    assert {block.name: block.why_not for block in all_blocks() if block.why_not is not None} == NOT_RUN


def test_nothing_is_listed_that_is_not_there() -> None:
    names = [block.name for block in all_blocks()]
    assert [start for start in NOT_RUN_UNMARKED if not any(name.startswith(start) for name in names)] == []


def test_no_block_is_overlooked() -> None:
    for page in pages():
        assert fences_of(page) == 2 * len(list(blocks_of(page))), f"{page}: a fence without a language?"


@pytest.mark.parametrize("block", [one for one in all_blocks() if one.kind == "sh" and not one.is_run], ids=str)
def test_the_commands_of_what_is_not_run_are_real(block: Block) -> None:
    for line in block.code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words and "=" in words[0]:
            words.pop(0)
        if not words or words[0] in {"export", "curl"}:
            continue
        command, *rest = words
        if Path(command).name == "verdicts":
            parsed(rest)
        elif command == "docker":
            composed = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
            assert rest[:1] + rest[3:] == ["compose", "up"]
            assert any(rest[2] in service.get("profiles", ()) for service in composed["services"].values())
        else:
            assert os.access(ROOT / command, os.X_OK), line


def parsed(words: list[str]) -> None:
    """As the command line is read, without doing it. Raises KeyError or a UsageError where it is none of ours."""
    command: Any = get_command(app)  # of the click that Typer brings along
    name = "verdicts"
    while hasattr(command, "commands"):
        name, *words = words
        command = command.commands[name]
    command.make_context(name, list(words))


def test_the_example_of_a_driver_is_a_driver() -> None:
    (block,) = [one for one in blocks_of("docs/guides/add-a-driver.md") if one.kind == "toml"]
    assert DriverSpec.model_validate(tomllib.loads(block.code)).slug == "my-driver"


def test_enough_is_run() -> None:
    assert sum(block.is_run for block in all_blocks()) > 35
