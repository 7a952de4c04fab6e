"""What a verdict's page and a paper's page show of one verdict: the decision in words, the chart, the evidence."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from app.claims.schemas import ClaimRead
from app.dashboard import numbers, words
from app.dashboard.charts import Axis, Measured
from app.dashboard.findings import Findings, findings_of
from app.dashboard.reasons import intervals_of, reasons_of
from app.verdicts.schemas import VerdictRead


@dataclass(frozen=True, slots=True)
class ProtocolRow:
    """One axis of the protocol in plain words."""

    axis: str
    question: str
    value: str
    meaning: str
    faithful: bool


@dataclass(frozen=True, slots=True)
class Detail:
    """One verdict, ready to be shown."""

    verdict: VerdictRead
    claim: ClaimRead
    reported: str
    measured: str
    difference: str
    intervals: list[tuple[str, str]]
    axis: Axis
    reasons: list[str]
    protocol: list[ProtocolRow]
    found: Findings

    @property
    def key(self) -> tuple[object, ...]:
        """What is shown of the verdict, but for what superseded it, changes with nothing but this."""
        one = self.verdict
        return (one.id, one.paper_arxiv_id, one.score, one.confidence, self.claim.id, self.found.has_texts)

    @property
    def description(self) -> str:
        """The chart in words."""
        status = words.STATUS[self.verdict.status].lower()
        return f"Reported {numbers.short(self.reported)}, measured {self.measured}: {status}. {self.reasons[0]}"


def detail_of(session: Session, verdict: VerdictRead, claim: ClaimRead, catalogue: Path) -> Detail:
    """The verdict with its evidence, as far as it has any."""
    one = Measured.of(reported_share(claim), verdict.score, verdict.estimate)
    reported, measured = numbers.printed(claim), measured_text(one.measured, claim)
    return Detail(
        verdict=verdict,
        claim=claim,
        reported=reported,
        measured=measured,
        difference=numbers.Notation.of(claim).difference(one.measured - one.reported),
        intervals=intervals_of(verdict.estimate, claim),
        axis=Axis.of(one, f"reported {numbers.short(reported)}", f"measured {measured}", claim.unit),
        reasons=reasons_of(verdict, claim),
        protocol=_protocol(verdict),
        found=findings_of(session, verdict.id, catalogue),
    )


def measured_text(value: float, claim: numbers.Stated) -> str:
    """A measured share as the claim's unit has it, with a digit more than the claim."""
    return numbers.share(value, claim.unit, numbers.digits_of(claim))


def reported_share(claim: numbers.Stated) -> float:
    """The reported value as a share of 1."""
    value = float(claim.reported_value)
    return value / 100 if claim.unit == "percent" else value


def _protocol(verdict: VerdictRead) -> list[ProtocolRow]:
    if verdict.protocol_axes is None:
        return []
    stated = verdict.protocol_axes.model_dump(mode="json")
    return [
        ProtocolRow(axis, words.AXIS[axis], value, words.AXIS_VALUE[axis][value], value == words.FAITHFUL[axis])
        for axis, value in stated.items()
    ]
