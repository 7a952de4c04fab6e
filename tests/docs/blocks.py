"""The fenced blocks of README.md and docs/: what runs each of them, and the two that nothing here can run."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
RUN: Final = frozenset({"sh", "python"})
OUTPUT: Final = "text"
_FENCE: Final = re.compile(
    r"^(?:<!-- not run: (?P<why>.+?) -->\n)?```(?P<kind>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
_ANY_FENCE: Final = re.compile(r"^[ \t>]*(?:```|~~~)", re.MULTILINE)
_SPAN: Final = re.compile(r"(?<!`)`(verdicts [^`]+)`(?!`)")
ORDER: Final = (
    "docs/index.md",
    "docs/quick-start.md",
    "docs/guides/add-a-paper.md",
    "docs/guides/follow-a-run.md",
    "docs/guides/use-the-client.md",
    "docs/guides/read-a-verdict.md",
)
"""What is run first, in this order: later pages read what these make. The others follow by name."""
ELSEWHERE: Final = {
    "README.md: deploy/up.sh": "tests/end_to_end/conftest.py",
    "docs/quick-start.md: deploy/up.sh": "tests/end_to_end/conftest.py",
    "docs/guides/run-on-your-gpus.md: deploy/setup.sh embedded,worker": "tests/end_to_end/test_worker_alone.py",
    "README.md: export VERDICTS_DATABASE_URL=": "tests/telemetry/test_telemetry.py",
    "README.md: export OTEL_EXPORTER_OTLP_ENDPOINT=": "tests/telemetry/test_telemetry.py",
    "README.md: .venv/bin/verdicts backup": "tests/backup/test_backup.py",
}
"""Blocks that take a service of their own, by how they begin: the file that runs their very text."""
NOT_RUN: Final = {
    "README.md: deploy/test.sh": "it would run these tests; .ci/run is held to it",
    "docs/guides/run-on-your-gpus.md: docker compose": "needs Docker and GPUs; Compose itself reads the file",
}
"""Blocks that nothing runs, by how they begin. In docs/ they are marked so."""


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block."""

    page: str
    line: int
    kind: str
    code: str
    why_not: str | None
    shows: str | None = None
    """What the page says that it prints, `…` standing for anything: the block of text that comes next."""

    @property
    def name(self) -> str:
        """The page and the block's first line."""
        return f"{self.page}: {self.code.splitlines()[0] if self.code else ''}"

    @property
    def is_run(self) -> bool:
        """Whether the tests of the pages run it, in its place between the others."""
        return self.kind in RUN and not any(self.name.startswith(start) for start in (*ELSEWHERE, *NOT_RUN))


def pages() -> list[str]:
    """README.md and every page, in the order in which they are run."""
    found = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))
    return [*ORDER, *(name for name in found if name not in ORDER), "README.md"]


def blocks_of(page: str) -> Iterator[Block]:
    """The blocks of a page, in their order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = [*_FENCE.finditer(text)]
    for one, after in zip_longest(found, found[1:]):
        line = text.count("\n", 0, one.start("code")) + 1
        shows = after["code"] if after is not None and after["kind"] == OUTPUT else None
        yield Block(page, line, one["kind"], one["code"], one["why"], shows)


def block(page: str, start: str) -> Block:
    """The one block of the page that begins so: for tests that run it elsewhere."""
    (found,) = [one for one in blocks_of(page) if one.code.startswith(start)]
    return found


def fences_of(page: str) -> int:
    """How many lines of the page begin or end a block, whatever the block looks like."""
    return len(_ANY_FENCE.findall((ROOT / page).read_text(encoding="utf-8")))


def commands_in_sentences(page: str) -> list[str]:
    """The command lines of ours that stand in the page's text, between backticks."""
    text = _FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))
    return [" ".join(found.split()) for found in _SPAN.findall(text)]


def all_blocks() -> list[Block]:
    """Every block there is."""
    return [one for page in pages() for one in blocks_of(page)]


def is_shown(shown: str, printed: str) -> bool:
    """Whether it was printed as the page shows it; blanks at the ends of lines and beside `…` do not count."""
    # A line end after a comma folds what was printed as one line of JSON.
    parts = re.split(r"\s*…\s*", _trimmed(shown))
    pattern = ".*?".join(re.escape(part).replace(",\\\n", ",\n?") for part in parts)
    return re.fullmatch(pattern, _trimmed(printed), re.DOTALL) is not None


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())
