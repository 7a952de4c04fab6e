"""What a verdict's page and a paper's page show of one verdict: the decision in words, the chart, the evidence."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from sqlalchemy.orm import Session

from app.claims.schemas import ClaimRead
from app.dashboard import numbers, words
from app.dashboard.breakdown import Breakdown, GroupRow, breakdown_of, groups_of
from app.dashboard.charts import Axis, Measured
from app.dashboard.texts import Texts, texts_of
from app.verdicts.errors import NoEvidenceError
from app.verdicts.examples import ExampleFilter, list_examples
from app.verdicts.queries import evidence_read, find_evidence
from app.verdicts.schemas import EvidenceRead, ExampleRead, VerdictRead

PREVIEW: Final = 6
"""Wrong examples on a paper's page; the rest has a page of its own."""


@dataclass(frozen=True, slots=True)
class ProtocolRow:
    """One axis of the protocol in plain words."""

    axis: str
    question: str
    value: str
    meaning: str
    faithful: bool


@dataclass(frozen=True, slots=True)
class ExampleView:
    """One prediction, with its texts where they are here."""

    example: ExampleRead
    texts: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Detail:
    """One verdict, ready to be shown."""

    verdict: VerdictRead
    claim: ClaimRead
    reported: str
    measured: str
    axis: Axis
    reasons: list[str]
    protocol: list[ProtocolRow]
    evidence: EvidenceRead | None
    breakdown: Breakdown | None
    groups: list[GroupRow]
    wrong: list[ExampleView]
    has_texts: bool
    difference: float

    @property
    def n(self) -> int:
        """How many examples the confusion matrix counts."""
        return sum(map(sum, (self.evidence and self.evidence.confusion) or []))

    @property
    def description(self) -> str:
        """The chart in words."""
        status = words.STATUS[self.verdict.status].lower()
        return f"Reported {self.reported}, measured {self.measured}: {status}. {self.reasons[0]}"

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What the evidence states of itself, one fact a line."""
        return list(_flat(self.evidence.facts)) if self.evidence else []


def detail_of(session: Session, verdict: VerdictRead, claim: ClaimRead, catalogue: Path) -> Detail:
    """The verdict with its evidence, as far as it has any."""
    one = Measured.of(reported_share(claim), verdict.score, verdict.estimate)
    reported, measured = numbers.printed(claim), measured_text(one.measured, claim)
    evidence, evidence_id = evidence_or_none(session, verdict.id)
    texts = texts_of(evidence, catalogue) if evidence else None
    known = evidence_id if evidence and evidence.predictions else None
    return Detail(
        verdict=verdict,
        claim=claim,
        reported=reported,
        measured=measured,
        axis=Axis.of(one, f"reported {numbers.short(reported)}", f"measured {measured}", claim.unit),
        reasons=_reasons(verdict, claim),
        protocol=_protocol(verdict),
        evidence=evidence,
        breakdown=breakdown_of(evidence) if evidence else None,
        groups=groups_of(session, known, texts) if known else [],
        wrong=_first_wrong(session, known, evidence, texts) if known and evidence else [],
        has_texts=texts is not None,
        difference=one.measured - one.reported,
    )


def _flat(facts: dict[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for name, value in facts.items():
        here = f"{above} {name}".strip().replace("_", " ")
        if isinstance(value, dict):
            yield from _flat(value, here)
        elif value is not None:
            yield here, ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def evidence_or_none(session: Session, verdict_id: UUID) -> tuple[EvidenceRead | None, UUID | None]:
    """The evidence and its key; None for a verdict that was imported without any."""
    try:
        row = find_evidence(session, verdict_id)
    except NoEvidenceError:
        return None, None
    return evidence_read(session, verdict_id, row), row.id


def measured_text(value: float, claim: ClaimRead) -> str:
    """A measured share as the claim's unit has it, with a digit more than the claim, two at least and four at most."""
    in_percent = claim.decimals if claim.unit == "percent" else claim.decimals - 2
    return numbers.share(value, claim.unit, min(4, max(2, in_percent + 1)))


def with_texts(examples: list[ExampleRead], texts: Texts | None) -> list[ExampleView]:
    """The examples with their texts."""
    return [ExampleView(one, texts.of(one.row) if texts else []) for one in examples]


def _first_wrong(session: Session, evidence_id: UUID, evidence: EvidenceRead, texts: Texts | None) -> list[ExampleView]:
    found = list_examples(session, evidence_id, evidence.labels or [], ExampleFilter(), PREVIEW, None)
    return with_texts(found.items, texts)


def reported_share(claim: ClaimRead) -> float:
    """The reported value as a share of 1."""
    return claim.reported_value / 100 if claim.unit == "percent" else claim.reported_value


def _protocol(verdict: VerdictRead) -> list[ProtocolRow]:
    if verdict.protocol_axes is None:
        return []
    stated = verdict.protocol_axes.model_dump(mode="json")
    return [
        ProtocolRow(axis, words.AXIS[axis], value, words.AXIS_VALUE[axis][value], value == words.FAITHFUL[axis])
        for axis, value in stated.items()
    ]


def _reasons(verdict: VerdictRead, claim: ClaimRead) -> list[str]:
    """Why the status is what it is, and where the confidence comes from: sentences with the numbers in them."""
    estimate = verdict.estimate
    if not estimate:
        return ["It came with an imported paper document, which states neither a margin nor an interval."]
    decimals = claim.decimals if claim.unit == "percent" else claim.decimals - 2
    digits = min(4, max(2, decimals + 1))

    def interval(level: str) -> str:
        ends: tuple[float, float] = estimate[f"interval_{level}"]
        return numbers.span(ends[0], ends[1], claim.unit, digits)

    low, high = estimate["reported"] - estimate["margin"], estimate["reported"] + estimate["margin"]
    zone = numbers.span(low, high, claim.unit, digits)
    return [_decision(estimate, verdict.status, interval, zone), *_confidence(estimate, verdict)]


def _decision(estimate: dict[str, Any], status: str, interval: Any, zone: str) -> str:  # noqa: ANN401  # a function
    margin = numbers.margin(estimate["margin"])
    low, high = estimate["interval_95"]
    if low == high:
        side = "inside" if status == "reproduced" else estimate["direction"]
        where = f"{side} the margin, from {zone}, which is the reported value ± {margin} points"
        return f"The interval has no width, as no item of the split is left to measure: the value lies {where}."
    anytime = estimate["interval_method"] == "prior_posterior_ratio"
    narrow, wide = ("The anytime-valid interval",) * 2 if anytime else ("The 90 % interval", "The 95 % interval")
    allowed = f"from {zone}, which is the reported value ± {margin} points"
    if status == "reproduced":
        return f"{narrow}, {interval('90')}, lies wholly inside the margin: {allowed}."
    if status == "not_reproduced":
        return f"{wide}, {interval('95')}, lies wholly {estimate['direction']} the margin: {allowed}."
    more = estimate.get("more_examples_needed")
    ending = (
        f" About {numbers.whole(more)} more examples would decide it at this rate."
        if more
        else " No number of further examples of this split would decide it at this rate."
    )
    return f"{narrow}, {interval('90')}, reaches across an edge of the margin: {allowed}.{ending}"


def _confidence(estimate: dict[str, Any], verdict: VerdictRead) -> list[str]:
    inside, ceiling = estimate["p_inside"], estimate["ceiling"]
    belief = {"reproduced": inside, "not_reproduced": 1 - inside}.get(verdict.status, max(inside, 1 - inside))
    where = {"reproduced": "inside", "not_reproduced": "outside"}.get(
        verdict.status,
        "inside" if inside >= 0.5 else "outside",  # noqa: PLR2004  # the larger of the two
    )
    belief_text = (
        f"Confidence {verdict.confidence:.4g} is the posterior probability that the value lies {where} the margin, "
        f"{belief:.4f}, times the ceiling of a protocol match “{verdict.protocol_match}”, {ceiling:g}."
    )
    method = words.METHOD.get(estimate["interval_method"], estimate["interval_method"])
    what = words.ESTIMAND[estimate["estimand"]]
    rule = f"What is estimated is {what}; interval: {method}, decision rule version {estimate['rule_version']}."
    return [belief_text, rule]
