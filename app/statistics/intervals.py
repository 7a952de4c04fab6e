"""Intervals for one share from one unstratified sample: of new items, or of a finite population."""

from collections.abc import Sequence
from math import floor, sqrt
from typing import Final

import numpy as np

from app.statistics.binomial import (
    SMALL_SAMPLE,
    Interval,
    IntervalMethod,
    alpha_of,
    binomial_interval,
    binomial_limits,
    clopper_pearson_interval,
    uses_wilson,
    wilson_interval,
)
from app.statistics.counts import check_counts
from app.statistics.hypergeometric import hypergeometric_limits

__all__ = [
    "SMALL_SAMPLE",
    "Interval",
    "IntervalMethod",
    "alpha_of",
    "binomial_interval",
    "binomial_limits",
    "clopper_pearson_interval",
    "finite_interval",
    "finite_intervals",
    "standard_error",
    "uses_wilson",
    "wilson_interval",
]

ROUND_OFF: Final = 1e-6
"""In counts: far above the rounding of a weighted sum, far below what one item changes."""


def standard_error(correct: int, n: int, total: int | None = None) -> float | None:
    """Standard error of correct / n: sqrt(p(1-p)/(n-1)), times sqrt(1 - n/total) in a finite population.

    None where one item of several was measured: a single item says nothing about spread. Raises ImpossibleCountsError.
    Source: Cochran 1977, Sampling Techniques, theorem 3.2.
    """
    k, size, population = check_counts(correct, n, total)
    if size == population:
        return 0.0
    if size == 1:
        return None
    p = k / size
    unseen = 1.0 if population is None else 1 - size / population
    return sqrt(p * (1 - p) / (size - 1) * unseen)


def finite_intervals(correct: float, n: int, total: int, levels: Sequence[float]) -> tuple[Interval, ...]:
    """One interval for each level for the share of correct items among `total`: inverted hypergeometric limits / total.

    Between two whole numbers `correct` is interpolated (an effective sample), outwards to whole counts of the
    population. Widened where needed to hold correct / n, which next to a census may be no attainable share. The caller
    answers for the counts.
    """
    below = floor(correct)
    rows = np.array([[below], [below + 1]]) if correct > below else np.array([[below]])
    limits = hypergeometric_limits(rows, n, total, np.array([[alpha_of(level) for level in levels]]))
    share = correct - below
    low, high = ((1 - share) * side[0] + share * side[-1] for side in limits)
    method = IntervalMethod.inverted_hypergeometric
    # The population's count is whole: an interpolated limit goes out to the next whole one.
    ends = zip(np.floor(low + ROUND_OFF), np.ceil(high - ROUND_OFF), strict=True)
    found = (Interval(float(a) / total, float(b) / total, method) for a, b in ends)
    return tuple(one.with_point(correct / n) for one in found)


def finite_interval(correct: int, n: int, total: int, level: float = 0.95) -> Interval:
    """The interval for the share of correct items among `total`, from n of them drawn at random without replacement.

    Exact: covers with a probability of at least `level`. At n = total it is the point. Raises ImpossibleCountsError.
    """
    k, size, _ = check_counts(correct, n, total)
    return finite_intervals(k, size, total, (level,))[0]
