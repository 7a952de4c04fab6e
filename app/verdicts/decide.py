"""The decision: from a claim, a measurement and its protocol to a status and a confidence, as pure functions."""

from dataclasses import dataclass
from typing import Final

from app.protocol.axes import CONFIDENCE_CEILING, ProtocolMatch
from app.protocol.driver import Estimand
from app.protocol.status import VerdictStatus
from app.statistics.counts import ImpossibleCountsError, Stratum
from app.statistics.design import LARGEST_SAMPLE, first_decided
from app.statistics.equivalence import Position, Zone, allowance, judge
from app.statistics.intervals import Interval, IntervalMethod, binomial_interval
from app.statistics.label_map import LabelMapSuspectError, refuse_suspect_labels
from app.statistics.metrics import MetricName
from app.statistics.posterior import p_inside_finite, p_inside_superpopulation
from app.statistics.printed import PrintedValueError, ReportedValue
from app.statistics.sequential import SEQUENCE_ALPHA, ConfidenceSequence
from app.statistics.stratified import (
    effective_sample,
    post_stratified,
    stratified_intervals,
    stratified_standard_error,
)

__all__ = [
    "RULE_VERSION",
    "Decision",
    "EstimandError",
    "ImpossibleCountsError",
    "LabelMapSuspectError",
    "Measurement",
    "PrintedValueError",
    "ReportedValue",
    "Stratum",
    "VerdictStatus",
    "decide",
    "refuse_suspect_labels",
]

RULE_VERSION: Final = "1"
LEVELS: Final = (0.90, 0.95)
LARGEST_MARGIN: Final = 0.5


class EstimandError(ValueError):
    """The measurement cannot speak about what is asked for."""


STATUS: Final = {
    Position.inside: VerdictStatus.reproduced,
    Position.below: VerdictStatus.not_reproduced,
    Position.above: VerdictStatus.not_reproduced,
    Position.undecided: VerdictStatus.inconclusive,
}


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was measured: one stratum for a simple slice or the full split, one for each label of a balanced slice.

    `population` is N, the number of items of the split: the strata's totals together, and derived from them where not
    given. Unknown (None) it leaves only new items to speak about. Raises ImpossibleCountsError.
    """

    strata: tuple[Stratum, ...]
    population: int | None = None

    def __post_init__(self) -> None:
        strata = tuple(self.strata)
        if len(strata) == 1 and strata[0].total is None and self.population is not None:
            strata = (Stratum(strata[0].n, strata[0].correct, self.population),)
        totals = [one.total for one in strata if one.total is not None]
        if not strata or (len(strata) > 1 and len(totals) < len(strata)):
            msg = "a measurement needs a stratum, and where there are several each needs its total"
            raise ImpossibleCountsError(msg)
        known = sum(totals) if totals else None
        if self.population not in {None, known}:
            msg = f"the strata's totals make {known}, not {self.population}"
            raise ImpossibleCountsError(msg)
        object.__setattr__(self, "strata", strata)
        object.__setattr__(self, "population", known)

    @property
    def n(self) -> int:
        """The number of measured items."""
        return sum(one.n for one in self.strata)

    @property
    def correct(self) -> int:
        """The number of correct items among them."""
        return sum(one.correct for one in self.strata)

    @property
    def score(self) -> float:
        """Plain accuracy on the slice as measured: correct / n."""
        return self.correct / self.n


@dataclass(frozen=True, slots=True)
class Decision:
    """The conclusion and all it rests on. Shares of 1; intervals are (low, high).

    `direction` is "below" or "above" for not_reproduced. `standard_error` is None where a single item of several was
    measured, and where the run could stop early. `margin` is d: delta plus half of the claim's last digit.
    `more_examples_needed`: 0 where decided; for inconclusive the examples beyond these that would decide it at the
    observed rate, None where none would.
    """

    status: VerdictStatus
    direction: str | None
    score: float
    estimate: float
    standard_error: float | None
    estimand: Estimand
    interval_90: tuple[float, float]
    interval_95: tuple[float, float]
    interval_method: IntervalMethod
    reported: float
    margin: float
    p_inside: float
    ceiling: float
    confidence: float
    more_examples_needed: int | None
    rule_version: str
    early_stopping: bool = False
    """Whether the intervals are the confidence sequence's, which hold at whatever moment the run stopped."""
    metric: MetricName = MetricName.accuracy
    bootstrap_seed: int | None = None
    bootstrap_draws: int | None = None
    """With the seed, of the bootstrap that gave the intervals; None where they have a closed form."""


@dataclass(frozen=True, slots=True)
class _Rule:
    zone: Zone
    finite: bool
    early_stopping: bool

    def intervals(self, strata: tuple[Stratum, ...]) -> tuple[Interval, ...]:
        if not self.early_stopping:
            return stratified_intervals(strata, LEVELS, finite=self.finite)
        (one,) = strata
        now = ConfidenceSequence(one.total or 0, SEQUENCE_ALPHA, one.n, one.correct).interval
        return now, now

    def decides(self, strata: tuple[Stratum, ...]) -> bool:
        interval_90, interval_95 = self.intervals(strata)
        return judge(interval_90, interval_95, self.zone) is not Position.undecided

    def p_inside(self, strata: tuple[Stratum, ...]) -> float:
        return p_inside_finite(strata, self.zone) if self.finite else p_inside_superpopulation(strata, self.zone)

    def more_examples(self, strata: tuple[Stratum, ...]) -> int | None:
        n = sum(one.n for one in strata)
        if not self.finite:
            grown = first_decided(lambda size: self._decides_new(strata, size / n), n, LARGEST_SAMPLE)
            return None if grown is None else grown - n
        everything = max(-(-(one.total or 0) * n // one.n) for one in strata)
        found = first_decided(lambda size: self.decides(_grown(strata, size, n)), n, everything)
        return None if found is None else sum(one.n for one in _grown(strata, found, n)) - n

    def _decides_new(self, strata: tuple[Stratum, ...], factor: float) -> bool:
        sample = effective_sample(strata, finite=False)
        narrow, wide = (binomial_interval(sample.correct * factor, sample.n * factor, level) for level in LEVELS)
        return judge(narrow, wide, self.zone) is not Position.undecided


def _grown(strata: tuple[Stratum, ...], size: int, n: int) -> tuple[Stratum, ...]:
    """The strata sampled `size` / `n` times as deep, each at its observed rate, none beyond its total."""
    sizes = [min(one.total or 0, -(-one.n * size // n)) for one in strata]
    return tuple(
        Stratum(deep, (2 * one.correct * deep + one.n) // (2 * one.n), one.total)
        for one, deep in zip(strata, sizes, strict=True)
    )


def decide(
    reported: ReportedValue,
    measurement: Measurement,
    *,
    estimand: Estimand,
    margin: float,
    match: ProtocolMatch,
    early_stopping: bool = False,
) -> Decision:
    """Decide about a claim. `margin` is delta, a share of 1 in (0, 0.5), without the rounding allowance.

    reproduced: the 90 % interval lies inside [r - d, r + d], d = delta + half of the last printed digit;
    not_reproduced: the 95 % interval lies outside it wholly; else inconclusive. confidence: the posterior probability
    that the estimand is where the status says (inconclusive: the likelier side), times the protocol's ceiling, rounded
    to 4 decimals. With `early_stopping` (a simple slice in random order, run until it decided) both intervals are the
    confidence sequence's. New items are those of the split's label mix. Sources stand with each statistic.

    Raises EstimandError where the measurement cannot speak about the estimand, and ValueError for a bad margin.
    """
    require_margin(margin)
    finite = estimand is Estimand.finite_population
    _refuse_unfit(measurement, finite=finite, early_stopping=early_stopping)
    rule, strata = _Rule(Zone.of_claim(reported, margin), finite, early_stopping), measurement.strata
    interval_90, interval_95 = rule.intervals(strata)
    position = judge(interval_90, interval_95, rule.zone)
    p_inside, ceiling = rule.p_inside(strata), CONFIDENCE_CEILING[match]
    return Decision(
        status=STATUS[position],
        direction=position.value if position in {Position.below, Position.above} else None,
        score=measurement.score,
        estimate=post_stratified(strata),
        # At a random stopping time the spread at a fixed n is not the spread of the estimate.
        standard_error=None if early_stopping else stratified_standard_error(strata, finite=finite),
        estimand=estimand,
        interval_90=(interval_90.low, interval_90.high),
        interval_95=(interval_95.low, interval_95.high),
        interval_method=interval_95.method,
        reported=reported.value,
        margin=allowance(reported, margin),
        p_inside=p_inside,
        ceiling=ceiling,
        confidence=round(belief(position, p_inside) * ceiling, 4),
        more_examples_needed=rule.more_examples(strata) if position is Position.undecided else 0,
        rule_version=RULE_VERSION,
        early_stopping=early_stopping,
    )


def require_margin(margin: float) -> None:
    """Raise ValueError where the margin is not in (0, 0.5)."""
    if not 0 < margin < LARGEST_MARGIN:
        msg = f"the margin is a share in (0, {LARGEST_MARGIN}), not {margin}"
        raise ValueError(msg)


def _refuse_unfit(measurement: Measurement, *, finite: bool, early_stopping: bool) -> None:
    if finite and measurement.population is None:
        msg = "the size of the split is unknown: only the superpopulation can be decided about"
        raise EstimandError(msg)
    if early_stopping and (not finite or len(measurement.strata) > 1):
        msg = "a run stopped early decides about the finite population, from an unstratified slice in random order"
        raise EstimandError(msg)


def belief(position: Position, p_inside: float) -> float:
    """The probability that the value lies where the position says; undecided: on the likelier side."""
    if position is Position.inside:
        return p_inside
    return max(p_inside, 1 - p_inside) if position is Position.undecided else 1 - p_inside
