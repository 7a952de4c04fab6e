"""Intervals for metrics without a closed form: the Bayesian bootstrap of a confusion matrix, also of a finite split."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from app.statistics.counts import ImpossibleCountsError, check_confusion
from app.statistics.equivalence import EDGE, Zone
from app.statistics.intervals import Interval, IntervalMethod, alpha_of
from app.statistics.metrics import Metric
from app.statistics.posterior import PRIOR

DRAWS: Final = 50_000
"""A probability near 0.95 is then known to 0.001 (one standard error), one near 0.5 to 0.0023."""
LEAST_DRAWS: Final = 2_000
MOST_CELLS: Final = 20_000_000
"""Of all draws together: with very many labels there are fewer draws."""

_AT_ONCE: Final = 1_000_000
"""Cells."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MetricPosterior:
    """What a sample says about a metric of the whole split, or of new items: `draws` of it, float64 [B], sorted."""

    estimate: float
    """The metric of the sample as it is."""
    draws: Floats
    seed: int

    def interval(self, level: float) -> Interval:
        """The equal-tailed interval of the draws; widened where needed to hold the estimate."""
        side = alpha_of(level) / 2
        low = np.quantile(self.draws, side, method="lower")
        high = np.quantile(self.draws, 1 - side, method="higher")
        return Interval(float(low), float(high), IntervalMethod.bayesian_bootstrap).with_point(self.estimate)

    def inside(self, zone: Zone) -> float:
        """P(the metric lies in the zone), edges included."""
        return float(np.mean((self.draws >= zone.low - EDGE) & (self.draws <= zone.high + EDGE)))

    @property
    def standard_error(self) -> float:
        """The standard deviation of the draws."""
        return float(self.draws.std())


def metric_posterior(
    confusion: ArrayLike, metric: Metric, *, population: int | None, seed: int, draws: int | None = None
) -> MetricPosterior:
    """The metric's posterior from the confusion matrix [L, L] of a simple random sample, or of the whole split.

    New items (`population` None): the cells' shares are Dirichlet(counts + prior), and each draw's metric is taken:
    Rubin's Bayesian bootstrap, smoothed by one prior item. A finite population: the unseen items are multinomial with
    such shares, and are added to those that were seen, so nothing is left open at a census. The prior item is half
    right and half wrong, each half spread evenly over its cells: the share of right answers then has exactly Jeffreys's
    Beta(correct + 1/2, wrong + 1/2), as in `posterior`. The same seed gives the same draws.

    Against resampling with counts / n alone, it does not shrink to a point where a sample holds no error, or none of
    some kind. Sources: Rubin 1981, Ann. Statist. 9:130; Lo 1988, Ann. Statist. 16:1684 (finite population).
    Raises ImpossibleCountsError.
    """
    matrix = check_confusion(confusion)
    n = int(matrix.sum())
    if population is not None and population < n:
        msg = f"n ({n}) cannot exceed the total ({population})"
        raise ImpossibleCountsError(msg)
    estimate = float(metric(matrix))
    if n == population:
        return MetricPosterior(estimate, np.array([estimate]), seed)
    count = min(draws or DRAWS, max(LEAST_DRAWS, MOST_CELLS // matrix.size))
    generator = np.random.Generator(np.random.PCG64(seed))
    shape = matrix + _prior(len(matrix))
    shares = generator.standard_gamma(shape.ravel(), (count, matrix.size))
    shares /= shares.sum(axis=1, keepdims=True)
    found: Floats = np.empty(count)
    for part in _portions(count, matrix.size):
        unseen = None if population is None else generator.multinomial(population - n, shares[part])
        cells = shares[part] if unseen is None else matrix.ravel() + unseen
        found[part] = metric(cells.reshape(-1, *matrix.shape))
    return MetricPosterior(estimate, np.sort(found), seed)


def _portions(count: int, cells: int) -> Iterator[slice]:
    """Draws that are made at a time: all at once would take four times the memory, and gives the same numbers."""
    step = max(1, _AT_ONCE // cells)
    return (slice(start, min(start + step, count)) for start in range(0, count, step))


def _prior(labels: int) -> Floats:
    prior = np.full((labels, labels), PRIOR / (labels * (labels - 1)))
    np.fill_diagonal(prior, PRIOR / labels)
    return prior
