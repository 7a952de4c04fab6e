"""What a confusion matrix says beyond accuracy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from app.statistics.counts import check_confusion

Shares = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class ConfusionSummary:
    """Shares of 1. `recall` and `precision` by label, None where the label never occurs or is never predicted.

    `balanced_accuracy` is the mean recall of the labels that occur.
    """

    n: int
    correct: int
    accuracy: float
    balanced_accuracy: float
    recall: Shares
    precision: Shares


def summarise(confusion: ArrayLike) -> ConfusionSummary:
    """Summarise a confusion matrix [gold, predicted], integers [L, L]. Raises ImpossibleCountsError."""
    matrix = check_confusion(confusion)
    right = np.diagonal(matrix)
    recall = _shares(right, matrix.sum(axis=1))
    occurring = [share for share in recall if share is not None]
    n, correct = int(matrix.sum()), int(right.sum())
    return ConfusionSummary(
        n=n,
        correct=correct,
        accuracy=correct / n,
        balanced_accuracy=sum(occurring) / len(occurring),
        recall=recall,
        precision=_shares(right, matrix.sum(axis=0)),
    )


def _shares(right: NDArray[np.int64], of: NDArray[np.int64]) -> Shares:
    return tuple(int(k) / int(n) if n else None for k, n in zip(right, of, strict=True))
