"""Results by label and by group, and the confusion matrix, as tables."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy.orm import Session

from app.dashboard.charts import Band, Scale
from app.dashboard.texts import Texts
from app.statistics.binomial import binomial_interval
from app.statistics.classification import summarise
from app.verdicts.examples import right_rows
from app.verdicts.schemas import EvidenceRead

_SHADES: Final = 8
_MOST_LABELS: Final = 30
"""A matrix of more is no table that anybody reads."""
_LEVEL: Final = 0.95
WHOLE: Final = Scale(0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Part:
    """A share with its 95 % interval for new items like these, and where both are on an axis from 0 to 1."""

    correct: int
    n: int
    low: float
    high: float

    @classmethod
    def of(cls, correct: int, n: int) -> "Part":
        """From counts, n at least 1."""
        interval = binomial_interval(correct, n, _LEVEL)
        return cls(correct, n, interval.low, interval.high)

    @property
    def value(self) -> float:
        """The share."""
        return self.correct / self.n

    @property
    def x(self) -> float:
        """Where the share is."""
        return WHOLE.at(self.value)

    @property
    def band(self) -> Band:
        """Where the interval is."""
        return Band.on(WHOLE, self.low, self.high)


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One gold label: how many of its items are right, and how many predictions of it are."""

    name: str
    recall: Part | None
    precision: Part | None


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the confusion matrix; `shade` from 0 to 8 by its share of the row."""

    count: int
    share: float
    shade: int
    right: bool


@dataclass(frozen=True, slots=True)
class Breakdown:
    """By label."""

    labels: list[str]
    rows: list[LabelRow]
    matrix: list[list[Cell]]
    balanced_accuracy: float


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One group of the data set: a genre of MNLI, say."""

    name: str
    part: Part


def breakdown_of(evidence: EvidenceRead) -> Breakdown | None:
    """The results by label; None where only counts were posted, or where there are too many labels for a table."""
    matrix, labels = evidence.confusion, evidence.labels
    if not matrix or not labels or len(labels) > _MOST_LABELS:
        return None
    per_gold, per_predicted = [sum(row) for row in matrix], [sum(column) for column in zip(*matrix, strict=True)]
    rows = [
        LabelRow(
            name,
            Part.of(matrix[i][i], per_gold[i]) if per_gold[i] else None,
            Part.of(matrix[i][i], per_predicted[i]) if per_predicted[i] else None,
        )
        for i, name in enumerate(labels)
    ]
    cells = [
        [_cell(count, per_gold[i], right=i == j) for j, count in enumerate(counts)] for i, counts in enumerate(matrix)
    ]
    return Breakdown(labels, rows, cells, summarise(matrix).balanced_accuracy)


def _cell(count: int, n: int, *, right: bool) -> Cell:
    share = count / n if n else 0.0
    return Cell(count, share, round(share * _SHADES), right)


def groups_of(session: Session, evidence_id: UUID, texts: Texts | None) -> list[GroupRow]:
    """The results by group; empty where the data set has none."""
    groups = texts.groups if texts else None
    if groups is None:
        return []
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for row, right in right_rows(session, evidence_id):
        if row < len(groups):
            counts[groups[row]][0] += right
            counts[groups[row]][1] += 1
    return [GroupRow(name, Part.of(*counts[name])) for name in sorted(counts)]
