"""Early stopping: a confidence sequence that stays valid however often one looks, for sampling without replacement."""

from dataclasses import dataclass
from math import log
from typing import Final

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from app.statistics.counts import ImpossibleCountsError, check_counts, whole
from app.statistics.equivalence import Position, Zone, judge
from app.statistics.hypergeometric import Counts, first_true
from app.statistics.intervals import Interval, IntervalMethod
from app.statistics.posterior import PRIOR

SEQUENCE_ALPHA: Final = 0.05
"""Each side errs as seldom as a side of the 90 % interval, and both together as seldom as the 95 % one."""
LOG_ROUND_OFF: Final = 1e-7
"""Log-factorials of 10^7 are off by this much; a count on the boundary is kept, which costs no coverage."""

Floats = NDArray[np.float64]


def _log_choose(n: ArrayLike, k: ArrayLike) -> Floats:
    n, k = np.asarray(n, dtype=np.float64), np.asarray(k, dtype=np.float64)
    return np.asarray(scipy.special.gammaln(n + 1) - scipy.special.gammaln(k + 1) - scipy.special.gammaln(n - k + 1))


def sequence_limits(correct: ArrayLike, n: ArrayLike, population: int, alpha: float = 0.05) -> tuple[Counts, Counts]:
    """The numbers K of correct items in the population that are not rejected after n of them: (lowest, highest).

    Prior-posterior ratio: {K : prior(K) / posterior(K) < 1 / alpha}, which is {K : P(correct | K) > alpha P(correct)},
    the hypergeometric likelihood against its mean under the beta-binomial prior with Beta(1/2, 1/2). As the ratio at
    the truth is a martingale with mean 1, P(the truth is ever outside) <= alpha over all n together (Ville), at any
    stopping rule, if the items come in uniformly random order without replacement.
    int64 of the broadcast shape; 0 <= correct <= n <= population; n = 0 gives 0 and population.
    Source: Waudby-Smith & Ramdas 2020, NeurIPS 33, theorem 2.1.
    """
    k, size = np.broadcast_arrays(np.asarray(correct, dtype=np.int64), np.asarray(n, dtype=np.int64))
    marginal = (
        _log_choose(size, k) + scipy.special.betaln(k + PRIOR, size - k + PRIOR) - scipy.special.betaln(PRIOR, PRIOR)
    )
    bound = log(alpha) + marginal + _log_choose(population, size) - LOG_ROUND_OFF

    def kept(candidate: Counts) -> NDArray[np.bool]:
        return np.asarray(_log_choose(candidate, k) + _log_choose(population - candidate, size - k) > bound)

    # The likelihood has one peak, so the set is a run of counts around it.
    lowest, highest = k, population - (size - k)
    peak = np.clip(k * (population + 1) // np.maximum(size, 1), lowest, highest)
    return first_true(lowest, peak, kept), first_true(peak, highest + 1, lambda c: ~kept(np.minimum(c, highest))) - 1


@dataclass(frozen=True, slots=True)
class ConfidenceSequence:
    """The state of a run that may stop early: `correct` of the first `n` items, in random order, of `population`."""

    population: int
    alpha: float = 0.05
    n: int = 0
    correct: int = 0

    def __post_init__(self) -> None:
        if self.n:
            check_counts(self.correct, self.n, self.population)
        elif whole("population", self.population) == 0 or whole("n", self.n) or whole("correct", self.correct):
            msg = "a sequence needs a population of at least 1, and starts with nothing correct of nothing"
            raise ImpossibleCountsError(msg)
        if not 0 < self.alpha < 1:
            msg = f"alpha lies strictly between 0 and 1, not {self.alpha}"
            raise ValueError(msg)

    def update(self, *, correct: int, n: int) -> "ConfidenceSequence":
        """The state with these totals so far. Raises ImpossibleCountsError where they are not what may follow."""
        if not 0 <= correct - self.correct <= n - self.n:
            msg = f"{correct} of {n} cannot follow {self.correct} of {self.n}"
            raise ImpossibleCountsError(msg)
        return ConfidenceSequence(self.population, self.alpha, n, correct)

    @property
    def interval(self) -> Interval:
        """The interval now, shares of the population; covers at all times together with probability 1 - alpha."""
        low, high = sequence_limits(self.correct, self.n, self.population, self.alpha)
        method = IntervalMethod.prior_posterior_ratio
        found = Interval(float(low) / self.population, float(high) / self.population, method)
        return found.with_point(self.correct / self.n) if self.n else found

    def position(self, zone: Zone) -> Position:
        """Where the interval now lies; `undecided` means go on.

        One interval serves both directions: a wrong `inside` and a wrong `below` or `above` have probability alpha at
        most each, which at 0.05 is what the 90 % and the 95 % interval promise at a fixed n.
        """
        return judge(self.interval, self.interval, zone)
