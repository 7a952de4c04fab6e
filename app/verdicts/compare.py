"""Compare two verdicts on the items that both of them measured."""

from dataclasses import dataclass
from typing import Any, Final, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, case, func, select
from sqlalchemy.orm import Session, aliased

from app.core.pagination import Page, decode_cursor, encode_cursor
from app.models import Evidence, Paper, Prediction, Verdict
from app.statistics.paired import paired_from_counts
from app.verdicts.compare_schemas import AxisComparison, ComparedVerdict, ComparisonRead, FlippedExample, Side
from app.verdicts.errors import DataDifferError, NoCommonItemsError, NoEvidenceError, VerdictNotFoundError

_one, _two = aliased(Prediction, name="one"), aliased(Prediction, name="two")
_RIGHT_ONE: Final = _one.gold == _one.predicted
_RIGHT_TWO: Final = _two.gold == _two.predicted
_AXES: Final = ("model", "data", "metric", "inference")


@dataclass(frozen=True, slots=True)
class _Measured:
    """A verdict with what its evidence states of the data."""

    verdict: Verdict
    arxiv_id: str
    evidence_id: UUID
    content: dict[str, Any]

    @property
    def labels(self) -> list[str]:
        return self.content.get("labels") or []

    @property
    def fingerprint(self) -> str | None:
        facts = self.content.get("facts") or {}
        return cast("str | None", (facts.get("data") or {}).get("fingerprint"))


@dataclass(frozen=True, slots=True)
class _Pairing:
    """How the items of the two are brought together: by row where the split is the same, else by the items' ids."""

    first: _Measured
    second: _Measured

    @property
    def fingerprint(self) -> str | None:
        return self.first.fingerprint if self.first.fingerprint == self.second.fingerprint else None

    def of_first(self, label: Any) -> ColumnElement[Any]:  # noqa: ANN401  # a mapped column
        """A class index of the second, as the first numbers the labels."""
        position = {name: index for index, name in enumerate(self.first.labels)}
        if self.first.labels == self.second.labels:
            return cast("ColumnElement[Any]", label)
        return case({index: position[name] for index, name in enumerate(self.second.labels)}, value=label)

    def pairs(self, *columns: Any) -> Select[Any]:  # noqa: ANN401  # whatever may be selected
        """These columns of the common items."""
        same = _one.row == _two.row if self.fingerprint else _one.item_id == _two.item_id
        mine, theirs = _one.evidence_id == self.first.evidence_id, _two.evidence_id == self.second.evidence_id
        return select(*columns).select_from(_one).join(_two, and_(theirs, same)).where(mine)


def compare_verdicts(session: Session, first: UUID, second: UUID, limit: int, cursor: str | None) -> ComparisonRead:
    """The comparison, with a page of the items that flipped.

    Raises VerdictNotFoundError; NoEvidenceError for an imported verdict; DataDifferError where the splits, the labels
    or the gold labels of common items differ; NoCommonItemsError where one has no predictions, or none on an item of
    the other's; CursorError.
    """
    pairing = _pairing(session, first, second)
    counts = _counts(session, pairing)
    paired = paired_from_counts(n=counts["n"], only_first=counts["only_first"], only_second=counts["only_second"])
    right = (counts["both_correct"] + counts["only_first"], counts["both_correct"] + counts["only_second"])
    return ComparisonRead(
        first=_compared(pairing.first, right[0], counts["n"]),
        second=_compared(pairing.second, right[1], counts["n"]),
        data_fingerprint=pairing.fingerprint,
        **counts,
        difference=paired.difference,
        interval_95=paired.interval,
        p_value=paired.p_value,
        axes=_axes(pairing),
        flipped=_flipped(session, pairing, limit, cursor),
    )


def _pairing(session: Session, first: UUID, second: UUID) -> _Pairing:
    rows = session.execute(
        select(Verdict, Paper.arxiv_id, Evidence)
        .join(Paper, Paper.id == Verdict.paper_id)
        .outerjoin(Evidence, Evidence.id == Verdict.evidence_id)
        .where(Verdict.id.in_([first, second]))
    )
    found = {verdict.id: (verdict, arxiv_id, evidence) for verdict, arxiv_id, evidence in rows}
    sides = []
    for wanted in (first, second):
        if wanted not in found:
            raise VerdictNotFoundError(wanted)
        verdict, arxiv_id, evidence = found[wanted]
        if evidence is None:
            raise NoEvidenceError(wanted)
        sides.append(_Measured(verdict, arxiv_id, evidence.id, evidence.content or {}))
    pairing = _Pairing(*sides)
    _refuse_other_data(pairing)
    return pairing


def _refuse_other_data(pairing: _Pairing) -> None:
    one, two = pairing.first, pairing.second
    for side in (one, two):
        if not side.labels:
            detail = f"Verdict {side.verdict.id} was posted as counts: it has no predictions to compare item by item."
            raise NoCommonItemsError(detail)
    if one.fingerprint and two.fingerprint and one.fingerprint != two.fingerprint:
        names = [(side.content["facts"]["data"]["name"], side.content["facts"]["data"]["split"]) for side in (one, two)]
        measured = f"The first measured {' '.join(names[0])}, the second {' '.join(names[1])}"
        detail = f"{measured}, and their content differs. Compare two of the same data."
        raise DataDifferError(detail)
    if set(one.labels) != set(two.labels):
        detail = f"The first tells {', '.join(one.labels)} apart, the second {', '.join(two.labels)}."
        raise DataDifferError(detail)


def _counts(session: Session, pairing: _Pairing) -> dict[str, int]:
    other_gold = _one.gold != pairing.of_first(_two.gold)
    both_wrong = and_(~_RIGHT_ONE, ~_RIGHT_TWO)
    columns = {
        "n": func.count(),
        "both_correct": func.count().filter(_RIGHT_ONE, _RIGHT_TWO),
        "only_first": func.count().filter(_RIGHT_ONE, ~_RIGHT_TWO),
        "only_second": func.count().filter(~_RIGHT_ONE, _RIGHT_TWO),
        "both_wrong": func.count().filter(both_wrong),
        "wrong_differently": func.count().filter(both_wrong, _one.predicted != pairing.of_first(_two.predicted)),
        "other_gold": func.count().filter(other_gold),
    }
    row = session.execute(pairing.pairs(*(value.label(name) for name, value in columns.items()))).one()
    counts = {name: int(value) for name, value in row._mapping.items()}  # noqa: SLF001  # SQLAlchemy's public name
    if counts["n"] == 0:
        detail = "No item was measured by both; two verdicts are compared on the items they have in common."
        raise NoCommonItemsError(detail)
    if disagreeing := counts.pop("other_gold"):
        detail = f"The gold labels of {disagreeing} of {counts['n']} items with the same id differ: it is other data."
        raise DataDifferError(detail)
    return counts


def _flipped(session: Session, pairing: _Pairing, limit: int, cursor: str | None) -> Page[FlippedExample]:
    after = decode_cursor("flipped", cursor, lambda key: int(key[0]))
    columns = (_one.item_id, _one.row, _one.gold, _one.predicted, _two.predicted, _RIGHT_ONE)
    query = pairing.pairs(*columns).where(_RIGHT_ONE != _RIGHT_TWO).order_by(_one.row).limit(limit + 1)
    rows = session.execute(query.where(_one.row > after) if after is not None else query).all()
    one, two = pairing.first.labels, pairing.second.labels
    items = [
        FlippedExample(item_id=item, row=row, gold=one[gold], first=one[a], second=two[b], right=_side(is_first=right))
        for item, row, gold, a, b, right in rows[:limit]
    ]
    following = encode_cursor("flipped", [items[-1].row]) if len(rows) > limit else None
    return Page(items=items, next_cursor=following)


def _side(*, is_first: bool) -> Side:
    return "first" if is_first else "second"


def _compared(side: _Measured, correct: int, n: int) -> ComparedVerdict:
    verdict = side.verdict
    confusion = side.content.get("confusion") or []
    return ComparedVerdict(
        id=verdict.id,
        paper_arxiv_id=side.arxiv_id,
        claim_id=verdict.claim_id,
        kind=verdict.kind,
        status=verdict.status,
        agent_version=verdict.agent_version,
        computed_at=verdict.computed_at,
        items=sum(map(sum, confusion)),
        correct=correct,
        accuracy=correct / n,
    )


def _axes(pairing: _Pairing) -> list[AxisComparison]:
    stated = [_stated(side) for side in (pairing.first, pairing.second)]
    return [
        AxisComparison(axis=axis, first=one, second=stated[1][axis], differs=one != stated[1][axis])
        for axis, one in stated[0].items()
    ]


def _stated(side: _Measured) -> dict[str, str | None]:
    axes: dict[str, str | None] = {name: (side.verdict.protocol_axes or {}).get(name) for name in _AXES}
    driver = side.content.get("driver") or {}
    drawn, decision = driver.get("slice") or {}, side.verdict.decision or {}
    drawn_as = f"{drawn['kind']} {drawn['size']:,} (seed {drawn['seed']})" if drawn.get("size") else drawn.get("kind")
    facts = side.content.get("facts") or {}
    axes["slice"] = drawn_as or facts.get("slice_kind")
    axes["dtype"] = (driver.get("inference") or {}).get("dtype")
    axes["margin"] = None if decision.get("delta") is None else str(decision["delta"])
    return axes
