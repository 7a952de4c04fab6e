"""The same rule for metrics without a closed form."""

from decimal import Decimal

import numpy as np
import pytest
from numpy.typing import NDArray

from app.protocol.axes import ProtocolMatch
from app.protocol.driver import Estimand
from app.statistics.counts import ImpossibleCountsError, Stratum
from app.statistics.intervals import IntervalMethod
from app.statistics.metrics import MetricName
from app.verdicts.decide import Decision, Measurement, ReportedValue, decide
from app.verdicts.decide_metric import MetricMeasurement, decide_metric

N = 9815
WHOLE = np.array([[2507, 972], [700, 5636]])
"""The shipped adapter on MNLI matched with two labels, entailment first."""


def decided(
    confusion: NDArray[np.int64],
    printed: str,
    *,
    metric: MetricName = MetricName.f1,
    margin: float = 0.03,
    estimand: Estimand = Estimand.finite_population,
    seed: int = 0,
) -> Decision:
    positive = 0 if metric is MetricName.f1 else None
    return decide_metric(
        ReportedValue.from_printed(Decimal(printed), "percent"),
        MetricMeasurement(metric, confusion, N, positive),
        estimand=estimand,
        margin=margin,
        match=ProtocolMatch.proxy,
        seed=seed,
    )


def test_a_whole_split_is_decided_by_its_value_alone() -> None:
    f1 = 2 * 2507 / (2 * 2507 + 972 + 700)
    found = decided(WHOLE, "75.0")
    assert (found.score, found.estimate, found.interval_90) == (f1, f1, (f1, f1))
    assert (found.status, found.p_inside, found.confidence, found.standard_error) == ("reproduced", 1.0, 0.85, 0.0)
    assert (found.metric, found.bootstrap_seed, found.bootstrap_draws) == ("f1", 0, 1)
    below = decided(WHOLE, "79.0")
    assert (below.status, below.direction, below.confidence) == ("not_reproduced", "below", 0.85)


def test_the_three_statuses_of_a_slice() -> None:
    part = WHOLE // 5
    inside, outside, neither = decided(part, "75.0"), decided(part, "85.0"), decided(part, "78.0")
    assert inside.interval_method is IntervalMethod.bayesian_bootstrap
    assert (inside.status, inside.more_examples_needed) == ("reproduced", 0)
    assert 0.72 - 1e-3 < inside.interval_90[0] < inside.estimate < inside.interval_90[1] < 0.78 + 1e-3
    assert inside.confidence == round(0.85 * inside.p_inside, 4)
    assert inside.p_inside >= 0.95
    assert (outside.status, outside.direction) == ("not_reproduced", "below")
    assert outside.p_inside < 0.025
    assert neither.status == "inconclusive"
    assert neither.more_examples_needed is not None
    assert 0 < neither.more_examples_needed <= N - part.sum()


def test_more_examples_at_these_shares_would_decide_it() -> None:
    part = WHOLE // 40
    found = decided(part, "75.0")
    assert found.status == "inconclusive"
    assert found.more_examples_needed is not None
    size = int(part.sum()) + found.more_examples_needed
    grown = np.rint(part * (1.05 * size / part.sum())).astype(np.int64)
    assert decided(grown, "75.0").status == "reproduced"


@pytest.mark.parametrize("estimand", list(Estimand))
def test_micro_f1_is_accuracy_and_is_decided_as_that_is(estimand: Estimand) -> None:
    part = WHOLE // 8
    found = decided(part, "83.0", metric=MetricName.f1_micro, estimand=estimand)
    n, right = int(part.sum()), int(np.trace(part))
    exact = decide(
        ReportedValue.from_printed(Decimal("83.0"), "percent"),
        Measurement((Stratum(n, right, N),), N),
        estimand=estimand,
        margin=0.03,
        match=ProtocolMatch.proxy,
    )
    assert (found.score, found.status) == (exact.score, exact.status)
    assert found.p_inside == pytest.approx(exact.p_inside, abs=0.01)
    assert found.interval_95 == pytest.approx(exact.interval_95, abs=0.002)
    assert found.standard_error == pytest.approx(exact.standard_error, rel=0.03)


def test_new_items_leave_more_open_than_the_rest_of_the_split() -> None:
    half = WHOLE // 2
    finite, new = (decided(half, "75.0", estimand=estimand) for estimand in Estimand)
    widths = [one.interval_95[1] - one.interval_95[0] for one in (finite, new)]
    assert widths[1] / widths[0] == pytest.approx(2**0.5, rel=0.05)


def test_a_negative_correlation_has_its_verdict() -> None:
    found = decided(np.array([[100, 300], [310, 90]]), "60.2", metric=MetricName.mcc)
    assert (found.status, found.direction) == ("not_reproduced", "below")
    assert -0.6 < found.score < -0.4
    assert -1 <= found.interval_95[0] < found.score < found.interval_95[1] < 0


def test_the_seed_is_part_of_the_decision() -> None:
    part = WHOLE // 30
    first, again, other = (decided(part, "75.0", seed=seed) for seed in (3, 3, 4))
    assert first == again
    assert first.interval_95 != other.interval_95
    assert (first.bootstrap_seed, other.bootstrap_seed) == (3, 4)


def test_what_cannot_be_decided() -> None:
    with pytest.raises(ValueError, match="margin"):
        decided(WHOLE, "75.0", margin=0.5)
    with pytest.raises(ImpossibleCountsError):
        decided(WHOLE * 2, "75.0")
