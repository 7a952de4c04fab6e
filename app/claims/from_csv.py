"""Claims out of a CSV file: the columns are the fields of a claim, an empty cell is one left out."""

import csv
import io
import re
from collections.abc import Iterator
from typing import Any, Final

from app.claims.candidates import Candidate, refuse_file
from app.claims.schemas import ClaimPost

REQUIRED: Final = ("section", "row", "column", "reported_value", "unit", "quoted_text")
COLUMNS: Final = tuple(ClaimPost.model_fields)
_NUMBERS: Final = ("pdf_page", "n_items")
_WHOLE: Final = re.compile(r"[0-9]{1,12}")


def claims_of_csv(text: str) -> Iterator[Candidate]:
    """A claim a line, by RFC 4180, with the columns named in the first line. Raises ClaimsFileError."""
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    try:
        names = [name.strip() for name in next(reader, [])]
        _refuse_columns(names)
        for cells in reader:
            if cells:
                yield Candidate(f"line.{reader.line_num}", _fields(names, cells, reader.line_num))
    except csv.Error as error:
        refuse_file(f"line {reader.line_num}: {error}.")


def _refuse_columns(names: list[str]) -> None:
    unknown = [name for name in names if name not in COLUMNS]
    missing = [name for name in REQUIRED if name not in names]
    if unknown or missing or len(set(names)) < len(names):
        what = f"lacks {', '.join(missing)}" if missing else f"has {', '.join(unknown) or 'a column twice'}"
        refuse_file(f"The first line {what[:300]}; it names the columns, which are {', '.join(COLUMNS)}.")


def _fields(names: list[str], cells: list[str], line: int) -> dict[str, Any]:
    if len(cells) != len(names):
        refuse_file(f"line {line} has {len(cells)} cells, and the first line {len(names)}.")
    return {name: _value(name, cell) for name, cell in zip(names, cells, strict=True) if cell.strip()}


def _value(name: str, cell: str) -> Any:  # noqa: ANN401  # what the schema takes; what it does not, it refuses
    bare = cell.strip()
    if name in _NUMBERS and _WHOLE.fullmatch(bare):
        return int(bare)
    if name == "force" and bare.lower() in {"true", "false"}:
        return bare.lower() == "true"
    return bare if name in {"reported_value", "unit", "reported_metric"} else cell
