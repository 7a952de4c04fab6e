"""Parquet, JSON Lines and TSV files as columns of plain Python values, chosen by the ending of the file's name."""

import json
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Final, NoReturn

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from app.protocol.errors import DriverError

MAX_DECODED_BYTES: Final = 2 << 30
"""What a compressed file may grow to in memory."""
_ROWS_AT_ONCE: Final = 4096

Columns = dict[str, list[object]]
Filters = Mapping[str, str | int]


class _TooLargeError(Exception):
    """More than MAX_DECODED_BYTES."""


def read_columns(contents: bytes, name: str, wanted: Sequence[str], *, filters: Filters, what: str) -> Columns:
    """The wanted columns, in row order, of the rows whose cells equal every filter (compared as text).

    `name` gives the format by its ending: `.parquet`, `.jsonl`, `.tsv`. TSV is UTF-8 with a header line and no quoting
    (as GLUE's), so its cells are text; the other formats keep their types. Raises DriverError `<what>_invalid` (not
    such a file, corrupt, a column missing), `<what>_too_large`.
    """
    needed = list(dict.fromkeys([*wanted, *filters]))
    reader = {".parquet": _parquet, ".jsonl": _json_lines, ".tsv": _tsv}.get(PurePath(name).suffix.lower())
    if reader is None:
        raise DriverError(code=f"{what}_invalid", message=f"{name} does not end in .parquet, .jsonl or .tsv.")
    try:
        return {column: cells for column, cells in reader(contents, needed, filters).items() if column in wanted}
    except MemoryError:  # this worker's, of whatever library: it says nothing about the file
        raise
    except _TooLargeError as error:
        raise DriverError(
            code=f"{what}_too_large", message=f"{name} is larger in memory than the {MAX_DECODED_BYTES} bytes allowed."
        ) from error
    except (ValueError, KeyError, RecursionError, OSError, pa.ArrowException) as error:
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DriverError(code=f"{what}_invalid", message=f"{name} cannot be read: {detail.rstrip('.')}.") from error


def _parquet(contents: bytes, needed: list[str], filters: Filters) -> Columns:
    source = pa.BufferReader(contents)
    schema = pq.read_schema(source)
    _require(needed, schema.names)
    # Texts stay references into a dictionary until they are counted: a kilobyte of file can refer to gigabytes.
    texts = [name for name in needed if _is_text(_refuse_unreadable(schema.field(name)))]
    file = pq.ParquetFile(source, read_dictionary=texts)
    _refuse_claims(file, needed)
    parts, decoded = [], 0
    for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=needed):
        # Counted while it is read: the footer's own figures are only what the file claims.
        decoded += sum(map(_decoded_bytes, batch.columns))
        if decoded > MAX_DECODED_BYTES:
            raise _TooLargeError
        parts.append(batch)
    table = pa.Table.from_batches(parts, schema=None if parts else pa.schema([(name, pa.null()) for name in needed]))
    for column, value in filters.items():
        table = table.filter(pc.equal(pc.cast(table[column], pa.string()), str(value)))
    return {column: table[column].to_pylist() for column in needed}


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _refuse_unreadable(field: pa.Field) -> pa.DataType:
    """The type of a column that some driver may need: text, a number, or a list of numbers; else ValueError."""
    kind = field.type
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    listed = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    number = kind.value_type if listed else inner
    if _is_text(inner) or pa.types.is_null(inner) or pa.types.is_boolean(inner) or pa.types.is_primitive(number):
        return inner
    msg = f"column {field.name} is of the type {kind}, which no driver reads"
    raise ValueError(msg)


def _refuse_claims(file: pq.ParquetFile, needed: list[str]) -> None:
    """Raise _TooLargeError where the file itself says so; one that lies is counted while it is read."""
    claimed = 0
    for group in range(file.metadata.num_row_groups):
        row_group = file.metadata.row_group(group)
        chunks = [row_group.column(number) for number in range(row_group.num_columns)]
        wanted = [chunk for chunk in chunks if chunk.path_in_schema.split(".")[0] in needed]
        claimed += sum(max(chunk.total_uncompressed_size, chunk.num_values) for chunk in wanted)
    if claimed > MAX_DECODED_BYTES:
        raise _TooLargeError


def _decoded_bytes(column: pa.Array) -> int:
    if not pa.types.is_dictionary(column.type) or not _is_text(column.type.value_type):
        return int(column.nbytes)
    lengths = pc.binary_length(column.dictionary).take(column.indices)
    return int(column.nbytes) + int(pc.sum(pc.cast(lengths, pa.int64())).as_py() or 0)


def _json_lines(contents: bytes, needed: list[str], filters: Filters) -> Columns:
    columns: Columns = {column: [] for column in needed}
    for number, line in enumerate(_lines(contents), start=1):
        row = json.loads(line, parse_constant=_no_constant)
        if not isinstance(row, dict):
            msg = f"line {number} is not a JSON object"
            raise ValueError(msg)  # noqa: TRY004 - the file is wrong, not the caller's types
        _require(needed, row, f"line {number}")
        if all(str(row[column]) == str(value) for column, value in filters.items()):
            for column in needed:
                columns[column].append(row[column])
    return columns


def _tsv(contents: bytes, needed: list[str], filters: Filters) -> Columns:
    header, *lines = _lines(contents) or [""]
    # A carriage return is part of the last cell unless the whole file ends its lines with one.
    ending = "\r" if header.endswith("\r") else ""
    names = header.removesuffix(ending).split("\t")
    _require(needed, names)
    places = {column: names.index(column) for column in needed}
    columns: Columns = {column: [] for column in needed}
    for number, line in enumerate(lines, start=2):
        cells = line.removesuffix(ending).split("\t")
        if len(cells) != len(names):
            msg = f"line {number} has {len(cells)} cells; the header has {len(names)}"
            raise ValueError(msg)
        if all(cells[places[column]] == str(value) for column, value in filters.items()):
            for column, place in places.items():
                columns[column].append(cells[place])
    return columns


def _lines(contents: bytes) -> list[str]:
    # Not str.splitlines: it also cuts at U+2028, form feeds and others, which occur inside texts.
    lines = contents.decode("utf-8").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _require(needed: Sequence[str], present: Sequence[str] | Mapping[str, object], where: str = "the file") -> None:
    missing = [column for column in needed if column not in present]
    if missing:
        msg = f"{where} has no column {', '.join(missing)}"
        raise ValueError(msg)


def _no_constant(name: str) -> NoReturn:
    msg = f"{name} is not JSON"
    raise ValueError(msg)
