"""Data files for tests: the same rows in each format, and the specification that pins them."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from app.protocol.driver import DataSpec, FolderSource
from workers.datasets.load import parse_split

NLI = ("entailment", "neutral", "contradiction")
Rows = Sequence[Mapping[str, Any]]


def parquet(rows: Rows) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), sink)
    return sink.getvalue()


def json_lines(rows: Rows) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def tsv(rows: Rows) -> bytes:
    out = io.StringIO()
    columns = list(rows[0])
    writer = csv.writer(out, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE, quotechar=None)
    writer.writerow(columns)
    writer.writerows([row[column] for column in columns] for row in rows)
    return out.getvalue().encode()


def nli_rows(count: int, *, words: Sequence[str] = ("a", "b", "c")) -> list[dict[str, Any]]:
    """Rows with two texts each; every label occurs in turn."""
    return [
        {
            "idx": 100 + row,
            "premise": " ".join(words[(row * 7 + step * step) % len(words)] for step in range(1 + row % 9)),
            "hypothesis": " ".join(words[(row * 3 + step) % len(words)] for step in range(1 + row % 5)),
            "label": row % 3,
        }
        for row in range(count)
    ]


def data_spec(name: str, contents: bytes, *, size: int, **changes: Any) -> DataSpec:  # noqa: ANN401 - fields of a spec
    """A specification of a file with these contents; everything pinned as it is unless changed."""
    fields = {
        "source": FolderSource(path=name),
        "name": "toy",
        "split": "validation",
        "sha256": sha256(contents).hexdigest(),
        "fingerprint": "0" * 64,
        "size": size,
        "id_column": "idx",
        "labels": NLI,
    } | changes
    spec = DataSpec.model_validate(fields)
    if "fingerprint" in changes:
        return spec
    return spec.model_copy(update={"fingerprint": parse_split(spec, contents, name, "0" * 64).fingerprint})


def write_split(folder: Path, rows: Rows, **changes: Any) -> DataSpec:  # noqa: ANN401 - as above
    """Write the rows as `toy.jsonl` and pin them."""
    contents = json_lines(rows)
    (folder / "toy.jsonl").write_bytes(contents)
    return data_spec("toy.jsonl", contents, size=len(rows), **changes)
