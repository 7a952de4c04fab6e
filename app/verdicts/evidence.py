"""From predictions to what the decision rule reads: confusion matrix, strata, and the decision as a document."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from app.protocol.slices import SliceKind
from app.verdicts.decide import Decision, Measurement, Stratum


@dataclass(frozen=True, slots=True)
class Confusion:
    """Counts by gold label (rows) and predicted label (columns), int64 [C, C]."""

    labels: tuple[str, ...]
    matrix: NDArray[np.int64]

    @classmethod
    def of(cls, labels: tuple[str, ...], counts: Iterable[tuple[int, int, int]]) -> Self:
        """From (gold, predicted, count); indices outside the labels raise IndexError."""
        matrix = np.zeros((len(labels), len(labels)), dtype=np.int64)
        for gold, predicted, count in counts:
            matrix[gold, predicted] += count
        return cls(labels, matrix)

    @property
    def n(self) -> int:
        """How many items were predicted."""
        return int(self.matrix.sum())


def measurement_of(confusion: Confusion, split_counts: Mapping[str, int], kind: SliceKind) -> Measurement:
    """The measurement on a slice of a split with these counts per label.

    A balanced slice is stratified by gold label; a simple slice and the full split are one stratum.
    """
    population = sum(split_counts.values())
    right = np.diagonal(confusion.matrix)
    if kind is SliceKind.balanced:
        per_label = confusion.matrix.sum(axis=1)
        strata = tuple(
            Stratum(n=int(per_label[i]), correct=int(right[i]), total=split_counts[label])
            for i, label in enumerate(confusion.labels)
            if split_counts.get(label)
        )
    else:
        strata = (Stratum(n=confusion.n, correct=int(right.sum()), total=population),)
    return Measurement(strata=strata, population=population)


def decision_document(decision: Decision, *, margin: float) -> dict[str, Any]:
    """The whole decision as plain data, with the driver's own delta beside the margin that was used."""
    return {name: _plain(value) for name, value in asdict(decision).items()} | {"delta": margin}


def _plain(value: Any) -> Any:  # noqa: ANN401  # whatever a decision holds
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value
