"""All verdicts as one table: its columns, and its rows in the order in which they were computed."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import pyarrow as pa
from sqlalchemy import Row, Select, func, select
from sqlalchemy.orm import Session

from app.exports.described import counts_of
from app.models import Claim, Evidence, Paper, PaperAlias, PaperVersion, Verdict
from app.verdicts.decide import ReportedValue

SCHEMA_VERSION: Final = "1"
_AT_ONCE: Final = 500
_MOMENT: Final = pa.timestamp("ms", tz="UTC")
COLUMNS: Final[dict[str, tuple[pa.DataType, str]]] = {
    "verdict_id": (pa.string(), "The verdict, as in /v1/verdicts/{id}."),
    "paper_arxiv_id": (pa.string(), "The paper's present id."),
    "paper_version": (pa.int32(), "The checked version."),
    "claim_id": (pa.string(), "The claim, as in /v1/claims/{id}."),
    "claim_section": (pa.string(), "Where the number stands in the paper."),
    "claim_row": (pa.string(), "Its row."),
    "claim_column": (pa.string(), "Its column."),
    "claim_metric": (pa.string(), "Its metric."),
    "claim_reported_value": (pa.string(), "The number as printed, trailing zeros kept."),
    "claim_unit": (pa.string(), "percent or fraction."),
    "claim_quoted_text": (pa.string(), "The paper's own words. Anybody's text: not to be taken for markup."),
    "claim_pdf_page": (pa.int32(), "Its page, where it is known."),
    "claim_n_items": (pa.int64(), "On how many items the paper computed it, where it says so."),
    "reported": (pa.float64(), "The number as a share of 1."),
    "kind": (pa.string(), "PRE or POST."),
    "sequence": (pa.int32(), "Counts the verdicts of a claim and kind, without gaps."),
    "status": (pa.string(), "reproduced, not_reproduced or inconclusive."),
    "confidence": (pa.float64(), "0 to 1."),
    "is_current": (pa.bool_(), "Whether it is the newest of its claim and kind."),
    "computed_at": (_MOMENT, "When it was issued."),
    "supersedes": (pa.string(), "The verdict before it."),
    "superseded_by": (pa.string(), "The verdict after it."),
    "superseded_at": (_MOMENT, "When that was issued."),
    "origin": (pa.string(), "reproduction, posted or imported."),
    "reproduction_id": (pa.string(), "The run, where a run of this service measured."),
    "agent_version": (pa.string(), "What issued it."),
    "protocol_match": (pa.string(), "exact or proxy."),
    "protocol_model": (pa.string(), "The axis `model`; null for imported verdicts, as all that follow."),
    "protocol_data": (pa.string(), "The axis `data`."),
    "protocol_metric": (pa.string(), "The axis `metric`."),
    "protocol_inference": (pa.string(), "The axis `inference`."),
    "n": (pa.int64(), "Measured items."),
    "correct": (pa.int64(), "Correct items among them."),
    "score": (pa.float64(), "The metric on the slice as measured, a share of 1. Also of imported verdicts."),
    "estimate": (pa.float64(), "The estimate of the estimand, a share of 1."),
    "standard_error": (pa.float64(), "Of the estimate."),
    "estimand": (pa.string(), "finite_population or superpopulation."),
    "interval_90_low": (pa.float64(), "90 % interval."),
    "interval_90_high": (pa.float64(), "90 % interval."),
    "interval_95_low": (pa.float64(), "95 % interval."),
    "interval_95_high": (pa.float64(), "95 % interval."),
    "interval_method": (pa.string(), "How the intervals were made."),
    "delta": (pa.float64(), "The margin that was fixed before the run."),
    "margin": (pa.float64(), "Delta plus half of the last printed digit."),
    "p_inside": (pa.float64(), "Posterior probability that the estimand is within the margin."),
    "direction": (pa.string(), "below or above, where not reproduced."),
    "rule_version": (pa.string(), "Of the decision rule."),
}
"""Every column with its type and what it says. Documented for readers in docs/exports.md, which a test holds to it."""
_AXES: Final = ("model", "data", "metric", "inference")
_DECIDED: Final = (
    "estimate",
    "standard_error",
    "estimand",
    "interval_method",
    "delta",
    "margin",
    "p_inside",
    "direction",
    "rule_version",
)


def schema() -> pa.Schema:
    """The table's schema."""
    fields = [pa.field(name, kind, metadata={"description": words}) for name, (kind, words) in COLUMNS.items()]
    return pa.schema(fields, metadata={"paper-verdicts.schema": SCHEMA_VERSION})


def state_of(session: Session) -> str:
    """What tells two states of the table apart.

    Verdicts are never changed nor deleted but for their supersession, which comes with another verdict, and what one
    snapshot sees all later ones see: equal numbers of rows are the same rows. A draft's new id leaves an alias.
    """
    counts = select(
        select(func.count()).select_from(Verdict).scalar_subquery(),
        select(func.count()).select_from(PaperAlias).scalar_subquery(),
        select(Verdict.id).order_by(Verdict.computed_at.desc(), Verdict.id.desc()).limit(1).scalar_subquery(),
    )
    return " ".join(map(str, session.execute(counts).one()))


def rows(session: Session, *, current: bool | None) -> Iterator[dict[str, Any]]:
    """Every row, oldest verdict first, read through a cursor of the server: never more than some hundred at a time."""
    query = _select()
    if current is not None:
        query = query.where(Verdict.is_current if current else ~Verdict.is_current)
    result = session.execute(query, execution_options={"yield_per": _AT_ONCE})
    for row in result:
        yield _row(row)


def _select() -> Select[*tuple[Any, ...]]:
    return (
        select(
            Verdict.id,
            Verdict.kind,
            Verdict.sequence,
            Verdict.status,
            Verdict.confidence,
            Verdict.is_current,
            Verdict.computed_at,
            Verdict.supersedes_id,
            Verdict.superseded_by_id,
            Verdict.superseded_at,
            Verdict.origin,
            Verdict.reproduction_id,
            Verdict.agent_version,
            Verdict.protocol_match,
            Verdict.protocol_axes,
            Verdict.score,
            Verdict.decision,
            Paper.arxiv_id,
            PaperVersion.version,
            Claim.id.label("claim_id"),
            Claim.section,
            Claim.row,
            Claim.column,
            Claim.reported_metric,
            Claim.reported_value,
            Claim.unit,
            Claim.quoted_text,
            Claim.pdf_page,
            Claim.n_items,
            Evidence.content["confusion"].label("confusion"),
            Evidence.content["facts"]["counts"].label("counts"),
        )
        .join(Claim, Claim.id == Verdict.claim_id)
        .join(Paper, Paper.id == Verdict.paper_id)
        .join(PaperVersion, PaperVersion.id == Verdict.paper_version_id)
        .outerjoin(Evidence, Evidence.id == Verdict.evidence_id)
        .order_by(Verdict.computed_at, Verdict.id)
    )


def _row(row: Row[*tuple[Any, ...]]) -> dict[str, Any]:
    axes, decision = row.protocol_axes or {}, row.decision or {}
    counts = counts_of({"confusion": row.confusion, "facts": {"counts": row.counts}}) or (None, None)
    intervals = {
        f"interval_{level}_{end}": value
        for level in ("90", "95")
        for end, value in zip(("low", "high"), decision.get(f"interval_{level}") or (None, None), strict=True)
    }
    found = {
        "verdict_id": str(row.id),
        "paper_arxiv_id": row.arxiv_id,
        "paper_version": row.version,
        "claim_id": str(row.claim_id),
        "claim_section": row.section,
        "claim_row": row.row,
        "claim_column": row.column,
        "claim_metric": row.reported_metric,
        "claim_reported_value": format(row.reported_value, "f"),
        "claim_unit": row.unit,
        "claim_quoted_text": row.quoted_text,
        "claim_pdf_page": row.pdf_page,
        "claim_n_items": row.n_items,
        "reported": _share(row.reported_value, row.unit),
        "kind": row.kind.value,
        "sequence": row.sequence,
        "status": row.status,
        "confidence": row.confidence,
        "is_current": row.is_current,
        "computed_at": row.computed_at,
        "supersedes": _text(row.supersedes_id),
        "superseded_by": _text(row.superseded_by_id),
        "superseded_at": row.superseded_at,
        "origin": row.origin.value,
        "reproduction_id": _text(row.reproduction_id),
        "agent_version": row.agent_version,
        "protocol_match": row.protocol_match,
        "n": counts[0],
        "correct": counts[1],
        "score": row.score,
        **{f"protocol_{axis}": axes.get(axis) for axis in _AXES},
        **{name: decision.get(name) for name in _DECIDED},
        **intervals,
    }
    return {name: found[name] for name in COLUMNS}


def _share(value: Decimal, unit: Any) -> float:  # noqa: ANN401  # the column's own two words
    return ReportedValue.from_printed(value, unit).value


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)
