"""Counts as they come in: what was measured, how much of it was correct, and refusing what cannot be."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

MIN_LABELS = 2
LARGEST_COUNT = 1_000_000_000
"""Beyond this the tails are no longer exact in double precision."""


class ImpossibleCountsError(ValueError):
    """Counts that no measurement can have: k > n, n > N, negative, NaN, not whole, or nothing measured."""


def whole(name: str, value: object) -> int:
    """`value` as an int in 0..10^9. Raises ImpossibleCountsError for anything but a whole number (3.0 and True too)."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        msg = f"{name} must be a whole number, not {value!r}"
        raise ImpossibleCountsError(msg)
    if not 0 <= value <= LARGEST_COUNT:
        msg = f"{name} must be between 0 and {LARGEST_COUNT}, not {value!r}"
        raise ImpossibleCountsError(msg)
    return int(value)


def check_counts(correct: object, n: object, total: object = None) -> tuple[int, int, int | None]:
    """`(correct, n, total)` as ints, 0 <= correct <= n <= total and n >= 1; total None where it is unknown.

    Raises ImpossibleCountsError.
    """
    k, size = whole("correct", correct), whole("n", n)
    population = None if total is None else whole("total", total)
    if size == 0:
        msg = "n must be at least 1: nothing was measured"
        raise ImpossibleCountsError(msg)
    if k > size:
        msg = f"correct ({k}) cannot exceed n ({size})"
        raise ImpossibleCountsError(msg)
    if population is not None and size > population:
        msg = f"n ({size}) cannot exceed the total ({population})"
        raise ImpossibleCountsError(msg)
    return k, size, population


@dataclass(frozen=True, slots=True)
class Stratum:
    """One label's share of a slice, or the whole of an unstratified one: `correct` of `n` measured, of `total` items.

    `total` is None where the split's size is unknown. Raises ImpossibleCountsError.
    """

    n: int
    correct: int
    total: int | None = None

    def __post_init__(self) -> None:
        correct, n, total = check_counts(self.correct, self.n, self.total)
        object.__setattr__(self, "correct", correct)
        object.__setattr__(self, "n", n)
        object.__setattr__(self, "total", total)


def check_confusion(confusion: ArrayLike) -> NDArray[np.int64]:
    """A confusion matrix [gold, predicted] as int64 [L, L], L >= 2, with at least one example.

    Raises ImpossibleCountsError where it is not square, or an entry is negative or not an integer.
    """
    matrix = np.asarray(confusion)
    if matrix.ndim != MIN_LABELS or matrix.shape[0] != matrix.shape[1] or matrix.shape[0] < MIN_LABELS:
        msg = f"a confusion matrix is square, [gold, predicted], with two labels or more, not {matrix.shape}"
        raise ImpossibleCountsError(msg)
    if not np.issubdtype(matrix.dtype, np.integer) or matrix.min() < 0 or matrix.max() > LARGEST_COUNT:
        msg = f"a confusion matrix holds whole numbers between 0 and {LARGEST_COUNT}"
        raise ImpossibleCountsError(msg)
    if matrix.sum() == 0:
        msg = "the confusion matrix is empty: nothing was measured"
        raise ImpossibleCountsError(msg)
    return matrix.astype(np.int64)
