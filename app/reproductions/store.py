"""Predictions into the database, a heartbeat's portion in one statement of five values, however many there are."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

# Columns and not rows: to name six thousand parameters cost more, on both sides, than to write a thousand rows.
# Arrays of one length each cannot hold logits, which may be absent: they come as text.
_STORE: Final = text(
    "INSERT INTO predictions (evidence_id, row, item_id, gold, predicted, logits) "
    "SELECT :evidence_id, row, item_id, gold, predicted, CAST(logits AS real[]) FROM unnest("
    "CAST(:row AS integer[]), CAST(:item_id AS text[]), CAST(:gold AS smallint[]), CAST(:predicted AS smallint[]), "
    "CAST(:logits AS text[])) AS of_portion (row, item_id, gold, predicted, logits) ON CONFLICT DO NOTHING"
)


def store_predictions(session: Session, evidence_id: UUID, predictions: Sequence[dict[str, Any]]) -> None:
    """Store them; what is stored already is left as it is."""
    columns = {name: [one[name] for one in predictions] for name in ("row", "item_id", "gold", "predicted")}
    logits = [None if one["logits"] is None else f"{{{','.join(map(repr, one['logits']))}}}" for one in predictions]
    session.execute(_STORE, {"evidence_id": evidence_id, **columns, "logits": logits})
