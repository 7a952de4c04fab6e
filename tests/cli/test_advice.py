"""Advice that is about HTTP has a command for it: what the service may say of a mistake is looked for in its source."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from app.cli.advice import advised

APP: Final = Path(__file__).resolve().parents[2] / "app"
ADVICE: Final = re.compile(r"(GET|PUT|POST) /v1/\S+ (lists|names)|with P(UT|ATCH)")
UNREACHED: Final = frozenset({"verdicts/errors.py", "exports/subject.py"})
"""What no command asks for: a verdict by its id, an export."""
PAPER: Final = "2004.13606"


def _texts(path: Path) -> Iterator[str]:
    """Every text of a module, with a paper's id in the place of what is filled in."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    filled: list[list[ast.expr]] = [node.values for node in nodes if isinstance(node, ast.JoinedStr)]
    parts = {id(part) for values in filled for part in values}
    plain: list[list[ast.expr]] = [[node] for node in nodes if isinstance(node, ast.Constant) and id(node) not in parts]
    for values in [*filled, *plain]:
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else PAPER for part in values)


def test_all_advice_that_a_command_may_be_given_is_about_commands() -> None:
    rooms = [path for path in APP.glob("*/*.py") if path.parent.name not in {"cli", "client", "dashboard"}]
    reached = [path for path in rooms if path.relative_to(APP).as_posix() not in UNREACHED]
    found = [text for path in reached for text in _texts(path) if ADVICE.search(text)]
    assert len(found) > 12
    assert [text for text in found if advised("", text) == text] == []
