"""Intervals for a share of new items: Wilson and Clopper-Pearson.

From scipy.special alone: statsmodels has both, but takes seconds to import, and every command in a terminal would wait.
The tests hold them to statsmodels.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from app.statistics.counts import check_counts

SMALL_SAMPLE: Final = 40
"""Below this n Clopper-Pearson is used: Brown, Cai & DasGupta 2001 (Statistical Science 16:101) draw the line between
small and larger samples at 40; above it Wilson's coverage stays near nominal except next to 0 and 1."""

Floats = NDArray[np.float64]


class IntervalMethod(StrEnum):
    """How an interval was made; `effective_sample_...` where strata were combined (see `stratified`)."""

    wilson = "wilson"
    clopper_pearson = "clopper_pearson"
    inverted_hypergeometric = "inverted_hypergeometric"
    effective_wilson = "effective_sample_wilson"
    effective_clopper_pearson = "effective_sample_clopper_pearson"
    effective_hypergeometric = "effective_sample_inverted_hypergeometric"
    prior_posterior_ratio = "prior_posterior_ratio"
    bayesian_bootstrap = "bayesian_bootstrap"


@dataclass(frozen=True, slots=True)
class Interval:
    """A closed interval, low <= high, and how it was made: of shares, or of a metric that can be negative."""

    low: float
    high: float
    method: IntervalMethod

    def with_point(self, point: float) -> "Interval":
        """The smallest interval that holds this one and the point."""
        return Interval(min(self.low, point), max(self.high, point), self.method)


def alpha_of(level: float) -> float:
    """1 - level. Raises ValueError where the level is not strictly between 0 and 1."""
    if not 0 < level < 1:
        msg = f"a confidence level lies strictly between 0 and 1, not {level}"
        raise ValueError(msg)
    return 1 - level


def _wilson(correct: ArrayLike, n: ArrayLike, level: float) -> tuple[Floats, Floats]:
    """The roots p of |k/n - p| = z sqrt(p(1-p)/n). Source: Wilson 1927, JASA 22:209."""
    k, size = np.asarray(correct, float), np.asarray(n, float)
    z = scipy.special.ndtri(1 - alpha_of(level) / 2)
    centre = (k + z**2 / 2) / (size + z**2)
    half = z * np.sqrt(k * (size - k) / size + z**2 / 4) / (size + z**2)
    # At 0 and at n it ends there in exact arithmetic; rounding leaves it a hair beside.
    return np.where(k == 0, 0.0, centre - half), np.where(k == size, 1.0, centre + half)


def _clopper_pearson(correct: ArrayLike, n: ArrayLike, level: float) -> tuple[Floats, Floats]:
    """Quantiles of Beta(k, n-k+1) and Beta(k+1, n-k). Source: Clopper & Pearson 1934, Biometrika 26:404."""
    k, size = np.asarray(correct, float), np.asarray(n, float)
    tail = alpha_of(level) / 2
    low = scipy.special.betaincinv(np.where(k == 0, 1.0, k), size - k + 1, tail)
    high = scipy.special.betaincinv(k + 1, np.where(k == size, 1.0, size - k), 1 - tail)
    return np.where(k == 0, 0.0, low), np.where(k == size, 1.0, high)


def uses_wilson(correct: ArrayLike, n: ArrayLike) -> NDArray[np.bool]:
    """Where Wilson is used and not Clopper-Pearson: n >= SMALL_SAMPLE and correct neither 0 nor n. Elementwise."""
    k, size = np.asarray(correct), np.asarray(n)
    return np.asarray((size >= SMALL_SAMPLE) & (k > 0) & (k < size))


def binomial_limits(correct: ArrayLike, n: ArrayLike, level: float) -> tuple[Floats, Floats]:
    """(low, high) of the interval for new items, float64 of the broadcast shape, by the method `uses_wilson` chooses.

    `correct` and `n` may be real (an effective sample: Korn & Graubard 1998, Survey Methodology 24:193);
    0 <= correct <= n, n > 0. Both limits grow with `correct`.
    """
    score, exact = _wilson(correct, n, level), _clopper_pearson(correct, n, level)
    chosen = uses_wilson(correct, n)
    return np.where(chosen, score[0], exact[0]), np.where(chosen, score[1], exact[1])


def binomial_interval(correct: float, n: float, level: float = 0.95) -> Interval:
    """The interval for new items: Wilson; Clopper-Pearson where correct is 0 or n, or n is below SMALL_SAMPLE."""
    low, high = binomial_limits(correct, n, level)
    method = IntervalMethod.wilson if uses_wilson(correct, n) else IntervalMethod.clopper_pearson
    return Interval(float(low), float(high), method)


def wilson_interval(correct: int, n: int, level: float = 0.95) -> Interval:
    """Wilson's score interval of a binomial share. Raises ImpossibleCountsError. Source: Wilson 1927, JASA 22:209."""
    k, size, _ = check_counts(correct, n)
    low, high = _wilson(k, size, level)
    return Interval(float(low), float(high), IntervalMethod.wilson)


def clopper_pearson_interval(correct: int, n: int, level: float = 0.95) -> Interval:
    """The exact binomial interval, each side at (1 - level) / 2. Raises ImpossibleCountsError.

    Source: Clopper & Pearson 1934, Biometrika 26:404.
    """
    k, size, _ = check_counts(correct, n)
    low, high = _clopper_pearson(k, size, level)
    return Interval(float(low), float(high), IntervalMethod.clopper_pearson)
