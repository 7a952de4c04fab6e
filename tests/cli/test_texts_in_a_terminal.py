"""What others wrote, in a terminal: it is shown as it is, and does nothing."""

import json
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from rich.console import Console, Group, RenderableType

from app.cli.document_panel import document_panel
from app.cli.lists import papers_list
from app.cli.plain import plain
from app.client.models import PaperDocument, PaperSummary
from tests.hostile.texts import HOSTILE, INJECTIONS

GOLDEN: Final = Path(__file__).resolve().parents[1] / "golden" / "paper-2111.09543.json"
OBEYED: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def shown(what: RenderableType) -> str:
    """As a terminal without colours gets it: every escape in it would be somebody else's."""
    out = StringIO()
    Console(file=out, width=400, color_system=None, force_terminal=True).print(what)
    return out.getvalue()


def summary(text: str) -> PaperSummary:
    return PaperSummary(
        arxiv_id="2111.09543",
        title=text,
        primary_category=None,
        venue=None,
        published_at=None,
        withdrawn=False,
        status=None,
        newest_verdict_at=None,
    )


@given(HOSTILE)
def test_nothing_is_left_that_a_terminal_obeys(text: str) -> None:
    assert not OBEYED.search(plain(text))
    assert "\n" not in plain(text)


@pytest.mark.parametrize("text", INJECTIONS)
def test_a_table_of_papers(text: str) -> None:
    out = shown(Group(*papers_list([summary(text)]).lines(400)))
    assert not OBEYED.search(out)
    assert out.count("\n") == 2
    if text.startswith("["):
        assert text in out  # and is no markup


@pytest.mark.parametrize("text", INJECTIONS)
def test_a_document(text: str) -> None:
    def replaced(node: Any) -> Any:  # noqa: ANN401  # JSON
        if isinstance(node, dict):
            free = {"title", "abstract", "venue", "section", "row", "column", "quoted_text", "notes"}
            return {name: text if name in free else replaced(inner) for name, inner in node.items()}
        return node

    document = PaperDocument.model_validate(replaced(json.loads(GOLDEN.read_text())))
    assert not OBEYED.search(shown(document_panel(document)))


def test_an_error_is_one_line_whatever_it_names() -> None:
    argv = [sys.executable, "-m", "app.cli", "import", "no\x1b[2Jsuch\u202efile"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 5
    assert not OBEYED.search(done.stderr)
    assert done.stderr.count("\n") == 1
