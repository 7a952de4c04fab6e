"""The predictions behind a verdict, as JSON Lines, CSV or Parquet."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.db import Database
from app.models import Prediction
from app.verdicts.errors import NotAcceptableError

JSONL: Final = "application/jsonl"
CSV: Final = "text/csv"
PARQUET: Final = "application/vnd.apache.parquet"
_NAMES: Final = {
    JSONL: ("application/jsonl", "application/x-ndjson", "application/json-lines"),
    CSV: ("text/csv",),
    PARQUET: ("application/vnd.apache.parquet", "application/parquet"),
}
"""What each format is asked for as. The order is ours where a client prefers none."""
_WEIGHT: Final = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")
_FORMULA: Final = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
_CHUNK: Final = 5_000
_DIGESTS: Final[dict[UUID, str]] = {}
_MOST_DIGESTS: Final = 10_000
_FIELDS: Final = ("row", "id", "gold", "predicted", "correct", "logits")
_SCHEMA: Final = pa.schema(
    {
        "row": pa.int32(),
        "id": pa.string(),
        "gold": pa.string(),
        "predicted": pa.string(),
        "correct": pa.bool_(),
        "logits": pa.list_(pa.float32()),
    }
)


def negotiate(accept: str) -> str:
    """The media type to answer with: the acceptable one with the highest weight. Raises NotAcceptableError.

    The most specific range that names a format gives its weight, as RFC 9110 has it. An empty header accepts all.
    """
    ranges = dict(_range(part) for part in reversed(accept.split(",")) if part.strip()) or {"*/*": 1.0}
    weights = {media: _weight_of(media, ranges) for media in _NAMES}
    best = max(weights, key=weights.__getitem__)
    if weights[best] == 0:
        detail = f"Predictions come as {JSONL}, {CSV} or {PARQUET}; name one of these in Accept."
        raise NotAcceptableError(detail)
    return best


def _weight_of(media: str, ranges: dict[str, float]) -> float:
    for names in (_NAMES[media], (media.partition("/")[0] + "/*",), ("*/*",)):
        named = [ranges[name] for name in names if name in ranges]
        if named:
            return max(named)
    return 0.0


def _range(part: str) -> tuple[str, float]:
    """A media range and its weight, 0 to 1; a weight that is none counts as 0."""
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            return name, float(parameter[2:]) if _WEIGHT.fullmatch(parameter[2:]) else 0.0
    return name, 1.0


def stream_predictions(database: Database, evidence_id: UUID, labels: list[str], media: str) -> Iterator[bytes]:
    """The predictions in order of their rows, in pieces. Reads in a unit of work of its own, chunk by chunk."""

    def read(after: int) -> list[dict[str, Any]]:
        with database.unit_of_work() as session:
            return _chunk(session, evidence_id, labels, after)

    chunks = _chunks(read)
    if media == PARQUET:
        return _parquet(chunks)
    return _csv(chunks) if media == CSV else _jsonl(chunks)


def predictions_digest(session: Session, evidence_id: UUID, labels: list[str]) -> str | None:
    """SHA-256 (hex) of the predictions as JSON Lines, the bytes that are served; None where there are none.

    Evidence never changes once its verdict is issued, so a process reckons each only once.
    """
    known = _DIGESTS.get(evidence_id)
    if known is None:
        chunks = _chunks(lambda after: _chunk(session, evidence_id, labels, after))
        digest, found = sha256(), False
        for piece in _jsonl(chunks):
            digest.update(piece)
            found = True
        if len(_DIGESTS) >= _MOST_DIGESTS:
            _DIGESTS.clear()
        known = _DIGESTS[evidence_id] = digest.hexdigest() if found else ""
    return known or None


def _chunks(read: Callable[[int], list[dict[str, Any]]]) -> Iterator[list[dict[str, Any]]]:
    after = -1
    while found := read(after):
        after = found[-1]["row"]
        yield found


def _chunk(session: Session, evidence_id: UUID, labels: list[str], after: int) -> list[dict[str, Any]]:
    """The next predictions behind a row."""
    query = (
        select(Prediction.row, Prediction.item_id, Prediction.gold, Prediction.predicted, Prediction.logits)
        .where(Prediction.evidence_id == evidence_id, Prediction.row > after)
        .order_by(Prediction.row)
        .limit(_CHUNK)
    )
    return [
        {
            "row": row,
            "id": item,
            "gold": labels[gold],
            "predicted": labels[predicted],
            "correct": gold == predicted,
            "logits": logits,
        }
        for row, item, gold, predicted, logits in session.execute(query)
    ]


def _jsonl(chunks: Iterator[list[dict[str, Any]]]) -> Iterator[bytes]:
    for chunk in chunks:
        yield "".join(
            json.dumps(one, ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n" for one in chunk
        ).encode()


def _csv(chunks: Iterator[list[dict[str, Any]]]) -> Iterator[bytes]:
    yield (",".join(_FIELDS) + "\r\n").encode()
    for chunk in chunks:
        out = io.StringIO()
        writer = csv.writer(out)
        for one in chunk:
            logits = " ".join(map(repr, one["logits"])) if one["logits"] else ""
            right = "true" if one["correct"] else "false"
            cells = (one["row"], _cell(one["id"]), _cell(one["gold"]), _cell(one["predicted"]), right, logits)
            writer.writerow(cells)
        yield out.getvalue().encode()


def _cell(text: str) -> str:
    """Text that a spreadsheet does not take for a formula. Some take the signs in full width for one, too."""
    return "'" + text if text.startswith(_FORMULA) else text


def _parquet(chunks: Iterator[list[dict[str, Any]]]) -> Iterator[bytes]:
    out = io.BytesIO()
    with pq.ParquetWriter(out, _SCHEMA, compression="zstd") as writer:
        for chunk in chunks:
            writer.write_table(pa.Table.from_pylist(chunk, schema=_SCHEMA))
    yield out.getvalue()
