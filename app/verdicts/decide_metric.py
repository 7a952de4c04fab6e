"""The decision about a metric without a closed form (F1, Matthews's coefficient): the same rule, by bootstrap."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.protocol.axes import CONFIDENCE_CEILING, ProtocolMatch
from app.protocol.driver import Estimand
from app.statistics.bootstrap import LEAST_DRAWS, MetricPosterior, metric_posterior
from app.statistics.design import LARGEST_SAMPLE, first_decided
from app.statistics.equivalence import Position, Zone, allowance, judge
from app.statistics.metrics import MetricName, metric_of
from app.statistics.printed import ReportedValue
from app.verdicts.decide import LEVELS, RULE_VERSION, STATUS, Decision, belief, require_margin

_FEWEST_DRAWS: Final = 200
_MOST_CELLS: Final = 800_000
"""Of each of some tens of posteriors that tell how many more examples it takes: with very many labels, roughly."""


@dataclass(frozen=True, slots=True)
class MetricMeasurement:
    """A confusion matrix, gold labels by row, int64 [L, L], of a simple slice or a whole split of `population` items.

    `positive` is the index of the positive label, for the metric `f1` alone.
    """

    metric: MetricName
    confusion: NDArray[np.int64]
    population: int
    positive: int | None = None

    def posterior(self, size: int, *, finite: bool, seed: int, draws: int | None = None) -> MetricPosterior:
        """The metric's posterior, had `size` items been measured with these cells' shares."""
        grown = self.confusion if size == self.n else _grown(self.confusion, size)
        metric = metric_of(self.metric, self.positive)
        return metric_posterior(grown, metric, population=self.population if finite else None, seed=seed, draws=draws)

    @property
    def n(self) -> int:
        """The number of measured items."""
        return int(self.confusion.sum())


def decide_metric(
    reported: ReportedValue,
    measured: MetricMeasurement,
    *,
    estimand: Estimand,
    margin: float,
    match: ProtocolMatch,
    seed: int,
) -> Decision:
    """Decide about a claim, as `decide` does, from the Bayesian bootstrap with this seed.

    reproduced: the 90 % interval lies inside the margin; not_reproduced: the 95 % interval lies outside it wholly; else
    inconclusive. confidence: the share of the draws that lie where the status says, times the protocol's ceiling.
    Raises ValueError for a bad margin, ImpossibleCountsError for a matrix that cannot be.
    """
    require_margin(margin)
    finite, zone = estimand is Estimand.finite_population, Zone.of_claim(reported, margin)
    posterior = measured.posterior(measured.n, finite=finite, seed=seed)
    narrow, wide = (posterior.interval(level) for level in LEVELS)
    position, p_inside = judge(narrow, wide, zone), posterior.inside(zone)
    ceiling = CONFIDENCE_CEILING[match]
    return Decision(
        status=STATUS[position],
        direction=position.value if position in {Position.below, Position.above} else None,
        score=posterior.estimate,
        estimate=posterior.estimate,
        standard_error=posterior.standard_error,
        estimand=estimand,
        interval_90=(narrow.low, narrow.high),
        interval_95=(wide.low, wide.high),
        interval_method=wide.method,
        reported=reported.value,
        margin=allowance(reported, margin),
        p_inside=p_inside,
        ceiling=ceiling,
        confidence=round(belief(position, p_inside) * ceiling, 4),
        more_examples_needed=_more(measured, zone, finite=finite, seed=seed) if position is Position.undecided else 0,
        rule_version=RULE_VERSION,
        metric=measured.metric,
        bootstrap_seed=seed,
        bootstrap_draws=len(posterior.draws),
    )


def _more(measured: MetricMeasurement, zone: Zone, *, finite: bool, seed: int) -> int | None:
    """How many more examples with these cells' shares would decide it; None where none would."""
    draws = min(LEAST_DRAWS, max(_FEWEST_DRAWS, _MOST_CELLS // measured.confusion.size))

    def decides(size: int) -> bool:
        posterior = measured.posterior(size, finite=finite, seed=seed, draws=draws)
        narrow, wide = (posterior.interval(level) for level in LEVELS)
        return judge(narrow, wide, zone) is not Position.undecided

    found = first_decided(decides, measured.n, measured.population if finite else LARGEST_SAMPLE)
    return None if found is None else found - measured.n


def _grown(confusion: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """The matrix of `size` items with the same shares: whole counts, the largest remainders rounded up."""
    exact = confusion * (size / confusion.sum())
    counts: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    short = size - int(counts.sum())
    if short > 0:
        most = np.argsort((counts - exact).ravel(), kind="stable")[:short]
        counts.ravel()[most] += 1
    return counts
