"""docs/exports.md: its table of columns is the schema's. Its snippets are run by tests/docs."""

import re
from pathlib import Path
from typing import Final

from app.exports.dataset import COLUMNS

PAGE: Final = Path(__file__).parents[2] / "docs" / "exports.md"


def test_the_columns_of_the_data_set_are_documented() -> None:
    documented = re.findall(r"(?m)^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|$", PAGE.read_text(encoding="utf-8"))
    expected = [(name, str(kind), words) for name, (kind, words) in COLUMNS.items()]
    assert [row for row in documented if row[0] in COLUMNS] == expected
