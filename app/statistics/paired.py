"""Two verdicts on the same items, and many claims at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from app.statistics.counts import ImpossibleCountsError, check_counts, whole
from app.statistics.intervals import alpha_of

HALVINGS: Final = 60
"""Of a range of at most 2: past double precision."""


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """Two measurements of the same n items: the difference of their accuracies, first minus second.

    `only_first` and `only_second`: items that one has right and the other wrong. `interval`: (low, high) of the
    difference, in [-1, 1]. `p_value`: exact McNemar, two-sided.
    """

    n: int
    only_first: int
    only_second: int
    difference: float
    interval: tuple[float, float]
    level: float
    p_value: float


def compare_paired(first: ArrayLike, second: ArrayLike, level: float = 0.95) -> PairedComparison:
    """Compare two measurements item by item: bool [n] each, whether the item was answered correctly.

    Raises ImpossibleCountsError where they are not of one length of at least 1, or not bool.
    """
    one, two = np.asarray(first), np.asarray(second)
    if one.dtype != np.bool or two.dtype != np.bool or one.ndim != 1 or one.shape != two.shape:
        msg = f"both need one bool for each item, not {one.dtype} {one.shape} and {two.dtype} {two.shape}"
        raise ImpossibleCountsError(msg)
    only_first, only_second = int((one & ~two).sum()), int((two & ~one).sum())
    return paired_from_counts(n=len(one), only_first=only_first, only_second=only_second, level=level)


def paired_from_counts(*, n: int, only_first: int, only_second: int, level: float = 0.95) -> PairedComparison:
    """Compare two measurements of the same n items by the items on which they differ. Raises ImpossibleCountsError."""
    b, c = whole("only_first", only_first), whole("only_second", only_second)
    check_counts(b + c, n)
    return PairedComparison(
        n=n,
        only_first=b,
        only_second=c,
        difference=(b - c) / n,
        interval=tango_interval(n=n, only_first=b, only_second=c, level=level),
        level=level,
        p_value=mcnemar_exact(b, c),
    )


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Two-sided exact McNemar: the binomial test of only_first out of both at 1/2; 1 where they never differ.

    Source: McNemar 1947, Psychometrika 12:153.
    """
    both = only_first + only_second
    return float(scipy.stats.binomtest(only_first, both, 0.5).pvalue) if both else 1.0


def tango_interval(*, n: int, only_first: int, only_second: int, level: float = 0.95) -> tuple[float, float]:
    """Score interval of the paired difference, first minus second: the d with |b - c - n d| <= z sqrt(n (2q + d(1-d))).

    b and c: items only the first, only the second has right; q: the likelihood's maximum for P(only second) given d,
    the larger root of 2n q^2 - (b + c - (2n - b + c) d) q - c d (1 - d) = 0. Source: Tango 1998, Stat. Med. 17:891;
    recommended by Newcombe 1998 and Fagerland, Lydersen & Laake 2014.
    """
    z = float(scipy.stats.norm.isf(alpha_of(level) / 2))
    high = _score_limit(n, only_first, only_second, z)
    return -_score_limit(n, only_second, only_first, z), high


def _score_limit(n: int, b: int, c: int, z: float) -> float:
    """The largest difference that the score test keeps, by halving: the statistic grows away from the estimate."""
    kept, beyond = (b - c) / n, 1.0
    for _ in range(HALVINGS):
        d = (kept + beyond) / 2
        linear = (2 * n - b + c) * d - b - c
        # Neither is negative in exact arithmetic.
        q = (sqrt(max(linear**2 + 8 * n * c * d * (1 - d), 0.0)) - linear) / (4 * n)
        variance = max(n * (2 * q + d * (1 - d)), 0.0)
        if (b - c - n * d) ** 2 <= z * z * variance:
            kept = d
        else:
            beyond = d
    return kept


@dataclass(frozen=True, slots=True)
class AdjustedTests:
    """Which of many hypotheses are rejected, and their adjusted p-values, in the order given."""

    rejected: tuple[bool, ...]
    adjusted: tuple[float, ...]


def benjamini_hochberg(p_values: Sequence[float], alpha: float = 0.05) -> AdjustedTests:
    """Control the false discovery rate of many tests at alpha. Raises ValueError where a p-value is not in [0, 1].

    Source: Benjamini & Hochberg 1995, JRSS B 57:289.
    """
    alpha_of(alpha)
    p: NDArray[np.float64] = np.asarray(p_values, dtype=np.float64)
    if not np.all((p >= 0) & (p <= 1)):
        msg = "p-values lie in [0, 1]"
        raise ValueError(msg)
    if p.size == 0:
        return AdjustedTests((), ())
    adjusted = scipy.stats.false_discovery_control(p, method="bh")
    return AdjustedTests(tuple(map(bool, adjusted <= alpha)), tuple(map(float, adjusted)))
