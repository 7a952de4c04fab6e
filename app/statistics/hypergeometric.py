"""The exact limits of a finite population: which counts of correct items among N a sample leaves possible."""

from collections.abc import Callable

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

Counts = NDArray[np.int64]


def first_true(low: ArrayLike, high: ArrayLike, holds: Callable[[Counts], NDArray[np.bool]]) -> Counts:
    """The smallest integer in [low, high] where a condition, false then true, holds; int64 of the broadcast shape.

    The condition takes and gives arrays; at `high` it is taken to hold. Bisection: log2(high - low) calls.
    """
    start, end = (np.array(a, dtype=np.int64) for a in np.broadcast_arrays(low, high))
    while np.any(start < end):
        middle = (start + end) // 2
        found = holds(middle)
        end = np.where(found, middle, end)
        start = np.where(found, start, np.minimum(middle + 1, end))
    return end


def hypergeometric_limits(
    correct: ArrayLike, n: ArrayLike, total: ArrayLike, alpha: ArrayLike
) -> tuple[Counts, Counts]:
    """Inverted hypergeometric limits (lowest K, highest K), counts in 0..total, each side at alpha / 2.

    lowest = min {K : P(X >= correct | X ~ Hypergeometric(total, K, n)) > alpha / 2}; highest is its mirror,
    total - lowest(n - correct). Integer arrays of the broadcast shape with 0 <= correct <= n <= total. Exact, with
    coverage of at least 1 - alpha for every K; the tail grows with K, so bisection takes log2(total) steps whatever the
    size. At n = total both are `correct`. Source: Konijn 1973, Statistical Theory of Sample Survey Design and Analysis;
    Wang 2015, JASA 110:1457.
    """
    k, size, population, level = np.broadcast_arrays(correct, n, total, alpha)
    sides = np.stack([k, size - k])

    def kept(candidate: Counts) -> NDArray[np.bool]:
        return np.asarray(scipy.stats.hypergeom.sf(sides - 1, population, candidate, size) > level / 2)

    lowest, mirrored = first_true(sides, population - size + sides, kept)
    return lowest, population - mirrored
