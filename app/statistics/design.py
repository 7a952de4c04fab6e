"""How many examples it takes: the exact power of the decision rule, and the sizes that decide."""

from collections.abc import Callable
from typing import Final

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from app.statistics.counts import check_counts
from app.statistics.equivalence import EDGE, Zone
from app.statistics.hypergeometric import Counts, first_true
from app.statistics.intervals import binomial_limits

LARGEST_SAMPLE: Final = 10_000_000
"""No slice is larger; what this many new items do not decide counts as never decided."""
TOST_ALPHA: Final = 0.05
"""Each side of the 90 % interval."""
GRID: Final = 64

Floats = NDArray[np.float64]


def accepted(n: ArrayLike, zone: Zone, population: int | None) -> tuple[Counts, Counts]:
    """The counts for which the rule says reproduced: (lowest k, highest k) for each n, int64 [m]; crossed for none.

    Simple slices of n items of `population`, None for new items. The limits of an interval grow with k, so the counts
    are contiguous, and the 90 % interval's limit passes the zone's edge where a one-sided test rejects the edge.
    """
    size = np.asarray(n, dtype=np.int64)
    low, high = _accepted_new(size, zone) if population is None else _accepted_finite(size, zone, population)
    # The interval always holds k / n itself.
    return np.maximum(low, np.ceil(size * (zone.low - EDGE)).astype(np.int64)), np.minimum(
        high, np.floor(size * (zone.high + EDGE)).astype(np.int64)
    )


def _accepted_finite(n: Counts, zone: Zone, population: int) -> tuple[Counts, Counts]:
    first, last = zone.counts(population)
    below, above = first - 1, last + 1
    low, high = np.zeros_like(n), n
    if below >= 0:
        beaten = min(below, population)
        low = first_true(
            0, n + 1, lambda k: np.asarray(scipy.stats.hypergeom.sf(k - 1, population, beaten, n) <= TOST_ALPHA)
        )
    if above <= population:
        missed = population - max(above, 0)
        high = n - first_true(
            0, n + 1, lambda k: np.asarray(scipy.stats.hypergeom.sf(k - 1, population, missed, n) <= TOST_ALPHA)
        )
    return low, high


def _accepted_new(n: Counts, zone: Zone) -> tuple[Counts, Counts]:
    level = 1 - 2 * TOST_ALPHA

    def high_enough(k: Counts) -> NDArray[np.bool]:
        return binomial_limits(k, n, level)[0] >= zone.low - EDGE

    def too_high(k: Counts) -> NDArray[np.bool]:
        return binomial_limits(k, n, level)[1] > zone.high + EDGE

    low = first_true(0, n, high_enough)
    high = first_true(0, n, too_high)
    # At the end of its range bisection takes the condition for granted.
    return np.where(high_enough(low), low, n + 1), np.where(too_high(high), high - 1, n)


def powers(n: ArrayLike, *, rate: float, margin: float, population: int | None) -> tuple[Floats, Floats]:
    """P(reproduced) at each n when the paper's value is the truth, and the probability of the outermost counts.

    float64 [m] each. Truth: round(rate * population) correct items, or `rate` for new items; `margin` is the total d.
    The second is how far the first can fall where n grows by one: exact power is a sawtooth. On a side where the zone
    reaches 0 or 1 no count is ever lost.
    """
    size, zone = np.asarray(n, dtype=np.int64), Zone.around(rate, margin)
    low, high = accepted(size, zone, population)
    some, loses_low, loses_high = low <= high, zone.low > EDGE, zone.high < 1 - EDGE
    if population is None:
        between = scipy.stats.binom.cdf(high, size, rate) - scipy.stats.binom.cdf(low - 1, size, rate)
        outermost = loses_low * scipy.stats.binom.pmf(low, size, rate) + loses_high * scipy.stats.binom.pmf(
            high, size, rate
        )
    else:
        true = round(rate * population)
        between = scipy.stats.hypergeom.cdf(high, population, true, size) - scipy.stats.hypergeom.cdf(
            low - 1, population, true, size
        )
        outermost = loses_low * scipy.stats.hypergeom.pmf(low, population, true, size)
        outermost += loses_high * scipy.stats.hypergeom.pmf(high, population, true, size)
    return np.where(some, between, 0.0), np.where(some, outermost, 1.0)


def exact_power(n: int, *, rate: float, margin: float, population: int | None) -> float:
    """P(the rule says reproduced) for a simple slice of n when the paper's value is the truth; margin: the total d.

    Exact: the hypergeometric (new items: binomial) probability of the accepted counts.
    Raises ImpossibleCountsError, and ValueError for a rate outside [0, 1] or a margin that is not positive.
    """
    _check(rate, margin)
    _, size, _ = check_counts(0, n, population)
    return float(powers([size], rate=rate, margin=margin, population=population)[0][0])


def smallest_size(*, rate: float, margin: float, population: int | None, power: float = 0.8) -> int | None:
    """The smallest n from which the exact power of a simple slice stays at `power` or more; None where none does.

    A grid finds where power last comes near the target, a finer one within it too, and from there every n is tried
    downwards. Between grid points power falls by no more than the probability of its outermost counts.
    Raises as `exact_power` does, and ValueError for a power not strictly between 0 and 1.
    """
    _check(rate, margin)
    if not 0 < power < 1:
        msg = f"power lies strictly between 0 and 1, not {power}"
        raise ValueError(msg)
    top = LARGEST_SAMPLE if population is None else check_counts(0, population, population)[1]

    def reached(n: ArrayLike) -> tuple[Floats, Floats]:
        return powers(n, rate=rate, margin=margin, population=population)

    if reached([top])[0][0] < power:
        return None
    start, end = 0, top
    for spaced in (np.geomspace, np.linspace, np.linspace):
        grid = np.unique(np.rint(spaced(max(start, 1), end, GRID)).astype(np.int64))
        found, jump = reached(grid)
        near = np.flatnonzero(found - jump < power)
        last = near[-1] if len(near) else -1
        start, end = int(grid[max(last, 0)]), int(grid[min(last + 1, len(grid) - 1)])
    return _walk_down(end, lambda n: reached(n)[0] >= power)


def _walk_down(start: int, enough: Callable[[Counts], NDArray[np.bool]]) -> int:
    while start > 1:
        sizes = np.arange(max(1, start - GRID), start)
        short = np.flatnonzero(~enough(sizes))
        if len(short):
            return int(sizes[short[-1]]) + 1
        start = int(sizes[0])
    return start


def _check(rate: float, margin: float) -> None:
    if not 0 <= rate <= 1 or not 0 < margin < np.inf:
        msg = f"the rate lies in [0, 1] and the margin is positive, not {rate} and {margin}"
        raise ValueError(msg)


def first_decided(decided: Callable[[int], bool], start: int, end: int) -> int | None:
    """A size in (start, end] that decides while the size before it does not; None where `end` does not decide.

    `start` is known not to decide. Steps double until one decides, then the gap is halved: about 2 log2(result - start)
    calls. Where rounding makes decisions flicker with n, it is one of the flickering sizes.
    """
    if start >= end:
        return None
    low, step = start, 1
    while not decided(min(low + step, end)):
        if low + step >= end:
            return None
        low, step = low + step, 2 * step
    high = min(low + step, end)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decided(middle) else (middle, high)
    return high
