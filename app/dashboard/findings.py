"""What the evidence behind a verdict shows. It never changes, so what was worked out once is kept."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from sqlalchemy.orm import Session

from app.dashboard.breakdown import Breakdown, GroupRow, breakdown_of, groups_of
from app.dashboard.kept import Kept
from app.dashboard.texts import Texts, texts_of
from app.verdicts.errors import NoEvidenceError
from app.verdicts.examples import ExampleFilter, list_examples
from app.verdicts.queries import evidence_read, find_evidence
from app.verdicts.schemas import EvidenceRead, ExampleRead

PREVIEW: Final = 6
"""Wrong examples on a paper's page; the rest has a page of its own."""


@dataclass(frozen=True, slots=True)
class ExampleView:
    """One prediction, with its texts where they are here."""

    example: ExampleRead
    texts: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Findings:
    """The evidence, counted and looked through."""

    evidence: EvidenceRead | None = None
    breakdown: Breakdown | None = None
    groups: tuple[GroupRow, ...] = ()
    wrong: tuple[ExampleView, ...] = ()
    has_texts: bool = False

    @property
    def n(self) -> int:
        """How many examples the confusion matrix counts."""
        return sum(map(sum, (self.evidence and self.evidence.confusion) or []))

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What the evidence states of itself, one fact a line."""
        return list(_flat(self.evidence.facts)) if self.evidence else []


_evidence: Final[Kept[UUID, tuple[EvidenceRead, UUID]]] = Kept(256)
_findings: Final[Kept[tuple[UUID, bool], Findings]] = Kept(256)


def findings_of(session: Session, verdict_id: UUID, catalogue: Path) -> Findings:
    """What there is to find; nothing for a verdict that was imported without evidence."""
    evidence, evidence_id = evidence_or_none(session, verdict_id)
    if evidence is None or evidence_id is None:
        return Findings()
    texts = texts_of(evidence, catalogue)

    def look() -> Findings:
        return _look(session, evidence, evidence_id, texts)

    return _findings.get((verdict_id, texts is not None), look)


def _look(session: Session, evidence: EvidenceRead, evidence_id: UUID, texts: Texts | None) -> Findings:
    breakdown = breakdown_of(evidence)
    if not evidence.predictions:
        return Findings(evidence, breakdown, has_texts=texts is not None)
    wrong = list_examples(session, evidence_id, evidence.labels or [], ExampleFilter(), PREVIEW, None).items
    groups = tuple(groups_of(session, evidence_id, texts))
    return Findings(evidence, breakdown, groups, tuple(with_texts(wrong, texts)), texts is not None)


def evidence_or_none(session: Session, verdict_id: UUID) -> tuple[EvidenceRead | None, UUID | None]:
    """The evidence and its key; None for a verdict that was imported without any. Raises VerdictNotFoundError."""

    def look() -> tuple[EvidenceRead, UUID]:
        row = find_evidence(session, verdict_id)
        return evidence_read(session, verdict_id, row), row.id

    try:
        return _evidence.get(verdict_id, look)
    except NoEvidenceError:
        return None, None


def with_texts(examples: list[ExampleRead], texts: Texts | None) -> list[ExampleView]:
    """The examples with their texts."""
    return [ExampleView(one, texts.of(one.row) if texts else []) for one in examples]


def _flat(facts: dict[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for name, value in facts.items():
        here = f"{above} {name}".strip().replace("_", " ")
        if isinstance(value, dict):
            yield from _flat(value, here)
        elif value is not None:
            yield here, ", ".join(map(str, value)) if isinstance(value, list) else str(value)
