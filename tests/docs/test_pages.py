"""Every command and snippet of README.md and docs/ is run, in order, on a real service, and prints what they say."""

import io
import json
import os
import shlex
import subprocess
import tomllib
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from typer.main import get_command

from app.cli.commands import app
from tests.docs.blocks import (
    ELSEWHERE,
    NOT_RUN,
    OUTPUT,
    ROOT,
    RUN,
    Block,
    all_blocks,
    blocks_of,
    commands_in_sentences,
    fences_of,
    is_shown,
    pages,
)
from tests.docs.conftest import Site
from tests.factories.databases import opened
from tests.factories.keys import make_key

PATIENCE_S: Final = 300
KINDS: Final = frozenset({*RUN, OUTPUT, "toml", "json", "jsonc", "md", "markdown", "yaml"})
_SAVE: Final = '\nstatus=$?\nenv -0 > "$VERDICTS_KEPT"\nexit $status\n'


@pytest.mark.worker
@pytest.mark.parametrize("page", [page for page in pages() if any(block.is_run for block in blocks_of(page))])
def test_a_page_does_what_it_says(page: str, site: Site) -> None:
    otherwise = []
    for block in blocks_of(page):
        if block.kind == "toml":
            site.add_driver(block.code)
        if block.is_run:
            printed = _run_shell(block, site) if block.kind == "sh" else _run_python(block, site)
            if block.shows is not None and not is_shown(block.shows, printed):
                otherwise.append(f"{page}:{block.line} shows\n{block.shows}and it printed\n{printed}")
    assert otherwise == [], "\n".join(otherwise)


def _run_shell(block: Block, site: Site) -> str:
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
    return done.stdout


def _run_python(block: Block, site: Site) -> str:
    before, folder = dict(os.environ), Path.cwd()
    os.environ.update(site.environment)
    os.chdir(site.folder)
    printed = io.StringIO()
    try:
        with redirect_stdout(printed):
            exec(compile(block.code, f"{block.page}:{block.line}", "exec"), {"__name__": "__main__"})  # noqa: S102
    finally:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(before)
    return printed.getvalue()


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


# --- what is not run in its place


def test_what_another_test_runs_is_asked_for_there_by_its_words() -> None:
    for start, where in ELSEWHERE.items():
        page, _, words = start.partition(": ")
        assert len([block for block in blocks_of(page) if block.code.startswith(words)]) == 1, start
        assert f'block("{page}", "{words}' in (ROOT / where).read_text(encoding="utf-8"), start


def test_what_nothing_runs_is_marked_in_the_pages() -> None:
    marked = [block.name for block in all_blocks() if block.why_not is not None]
    assert len(NOT_RUN) == 2
    for start in NOT_RUN:
        assert any(block.name.startswith(start) for block in all_blocks()), start
    assert [name for name in marked if not any(name.startswith(start) for start in NOT_RUN)] == []
    ours = [start for start in NOT_RUN if start.startswith("docs/")]
    assert [start for start in ours if not any(name.startswith(start) for name in marked)] == []


def test_the_command_that_runs_the_tests_is_the_one_that_ci_runs() -> None:
    (block,) = [one for one in blocks_of("README.md") if one.code.startswith("deploy/test.sh")]
    *_, last = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert last == f"exec {block.code.strip()}"
    assert "tests/*/" in (ROOT / "deploy" / "test.sh").read_text(encoding="utf-8")  # these among them
    assert os.access(ROOT / "deploy" / "test.sh", os.X_OK)


@pytest.mark.parametrize("page", [page for page in pages() if "/decisions/" not in page])
def test_commands_in_sentences_exist_with_their_options(page: str) -> None:
    for line in commands_in_sentences(page):
        command: Any = get_command(app)  # of the click that Typer brings along
        _, *words = shlex.split(line.replace("…", ""))
        while words and hasattr(command, "commands") and not words[0].startswith("--"):
            command = command.commands[words.pop(0)]
        options = {name for parameter in command.params for name in parameter.opts} | {"--help"}
        assert {word for word in words if word.startswith("--")} <= options, line


def test_no_block_is_overlooked() -> None:
    for page in pages():
        assert fences_of(page) == 2 * len(list(blocks_of(page))), f"{page}: a fence without a language?"


def test_output_follows_what_prints_it() -> None:
    for page in pages():
        kinds = [block.kind for block in blocks_of(page)]
        assert all(before in RUN for before, kind in zip(["", *kinds], kinds, strict=False) if kind == OUTPUT), page


def test_enough_is_run() -> None:
    assert sum(block.is_run for block in all_blocks()) > 40
    assert sum(block.shows is not None for block in all_blocks()) > 12


# --- blocks that are no commands, on the same service


@pytest.mark.worker
@pytest.mark.parametrize("page", ["docs/guides/embed-a-badge.md", "docs/exports.md"])
def test_the_badge_to_copy_has_addresses_that_answer(page: str, site: Site) -> None:
    (line,) = (block.code for block in blocks_of(page) if block.kind in {"md", "markdown"})
    image, link = (part.rpartition("(")[2] for part in line.strip().removesuffix(")").split(")](", 1))
    for address, kind in ((image, "image/svg+xml"), (link, "application/json")):
        answer = httpx.get(address.replace("https://verdicts.example", site.environment["SERVER"]), timeout=60)
        assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, kind)


@pytest.mark.worker
def test_the_evidence_to_post_is_decided(site: Site) -> None:
    (body,) = (json.loads(block.code) for block in blocks_of("docs/evaluator.md") if block.kind == "json")
    with opened(site.environment["VERDICTS_DATABASE_URL"]) as database:
        key = make_key(database).key
    with httpx.Client(
        base_url=f"{site.environment['SERVER']}/v1/papers", headers={"Authorization": f"Bearer {key}"}, timeout=60
    ) as client:
        assert client.put("/draft:posted", json={"title": "Posted", "abstract": "Evidence."}).status_code == 201
        claim = {"section": "Table 2", "row": "Ours", "column": "QQP", "reported_value": "89.2", "unit": "percent"}
        claim |= {"reported_metric": "f1", "quoted_text": "Ours 89.2"}
        assert client.post("/draft:posted/claims", json=claim).status_code == 201
        posted = client.post("/draft:posted/verdicts", json=body)
    assert posted.status_code == 201, posted.text
    assert posted.json()["estimate"]["metric"] == "f1"
