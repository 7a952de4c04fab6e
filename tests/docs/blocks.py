"""The fenced blocks of README.md and docs/: which are run, which are only looked at, and why."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
RUN: Final = frozenset({"sh", "python"})
_FENCE: Final = re.compile(
    r"^(?:<!-- not run: (?P<why>.+?) -->\n)?```(?P<kind>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
_ANY_FENCE: Final = re.compile(r"^[ \t>]*(?:```|~~~)", re.MULTILINE)
ORDER: Final = (
    "docs/index.md",
    "docs/quick-start.md",
    "docs/guides/add-a-paper.md",
    "docs/guides/follow-a-run.md",
    "docs/guides/use-the-client.md",
    "docs/guides/read-a-verdict.md",
)
"""What is run first, in this order: later pages read what these make. The others follow by name."""
NOT_RUN: Final = {
    "docs/guides/run-on-your-gpus.md: deploy/setup.sh embedded,worker": "needs a database and GPUs of its own",
    "docs/guides/run-on-your-gpus.md: docker compose --profile gpu up": "needs Docker and GPUs",
    "docs/quick-start.md: deploy/up.sh": "installs and starts everything, which deploy/up.sh's own tests do",
}
"""All that is marked in the pages: it is held to the syntax of the shell, and its commands to our own parsers."""
NOT_RUN_UNMARKED: Final = {
    "README.md: deploy/up.sh": "as above",
    "README.md: deploy/test.sh": "it would run these tests",
    "README.md: export VERDICTS_DATABASE_URL": "needs a database and a Redis elsewhere",
    "README.md: .venv/bin/verdicts backup": "restores into an empty database; tests/backup does it",
    "README.md: export OTEL_EXPORTER_OTLP_ENDPOINT": "a setting; tests/telemetry uses it",
    "docs/operations.md: verdicts keys create": "revokes a key that is an example; tests/cli does it",
}
"""Blocks of older pages, by how they begin."""


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block."""

    page: str
    line: int
    kind: str
    code: str
    why_not: str | None

    @property
    def name(self) -> str:
        """The page and the block's first line."""
        return f"{self.page}: {self.code.splitlines()[0] if self.code else ''}"

    @property
    def is_run(self) -> bool:
        """Whether the tests run it."""
        return self.kind in RUN and self.why_not is None and unmarked(self) is None


def unmarked(block: Block) -> str | None:
    """Why a block without a mark is not run; None where it is."""
    return next((why for start, why in NOT_RUN_UNMARKED.items() if block.name.startswith(start)), None)


def pages() -> list[str]:
    """README.md and every page, in the order in which they are run."""
    found = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))
    return [*ORDER, *(name for name in found if name not in ORDER), "README.md"]


def blocks_of(page: str) -> Iterator[Block]:
    """The blocks of a page, in their order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start("code")) + 1
        yield Block(page, line, found["kind"], found["code"], found["why"])


def fences_of(page: str) -> int:
    """How many lines of the page begin or end a block, whatever the block looks like."""
    return len(_ANY_FENCE.findall((ROOT / page).read_text(encoding="utf-8")))


def all_blocks() -> list[Block]:
    """Every block there is."""
    return [block for page in pages() for block in blocks_of(page)]
