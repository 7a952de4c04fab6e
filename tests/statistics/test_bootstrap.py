"""The Bayesian bootstrap: against the closed forms where there are some, and its coverage where there are none."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import beta

from app.statistics.bootstrap import metric_posterior
from app.statistics.counts import ImpossibleCountsError, Stratum
from app.statistics.equivalence import Zone
from app.statistics.intervals import IntervalMethod
from app.statistics.metrics import MetricName, metric_of
from app.statistics.posterior import p_inside_finite

MINILM = np.array([[2507, 519, 453], [346, 2151, 626], [354, 609, 2250]])
"""The shipped adapter on MNLI matched."""
BINARY = np.array([[5636, 700], [972, 2507]])
"""The same with two labels, entailment last."""


def test_accuracy_has_jeffreyss_posterior() -> None:
    sample = np.array([[60, 5, 2], [3, 50, 9], [1, 4, 66]])
    for draws in (metric_posterior(sample, metric_of(MetricName.accuracy), population=None, seed=1),):
        for level in (0.9, 0.95):
            exact = beta(176.5, 24.5).ppf([(1 - level) / 2, (1 + level) / 2])
            found = draws.interval(level)
            assert (found.low, found.high) == pytest.approx(tuple(exact), abs=0.001)
            assert found.method is IntervalMethod.bayesian_bootstrap
        assert draws.standard_error == pytest.approx(beta(176.5, 24.5).std(), rel=0.02)


@pytest.mark.parametrize("population", [210, 400, 9815])
def test_accuracy_of_a_finite_split_has_the_beta_binomial_posterior(population: int) -> None:
    sample = np.array([[60, 5, 2], [3, 50, 9], [1, 4, 66]])
    zone = Zone.around(0.87, 0.02)
    found = metric_posterior(sample, metric_of(MetricName.accuracy), population=population, seed=2)
    assert found.inside(zone) == pytest.approx(p_inside_finite([Stratum(200, 176, population)], zone), abs=0.012)


def test_the_same_seed_gives_the_same_draws() -> None:
    metric = metric_of(MetricName.mcc)
    first, again, other = (metric_posterior(MINILM // 30, metric, population=9815, seed=s) for s in (7, 7, 8))
    np.testing.assert_array_equal(first.draws, again.draws)
    assert (first.draws != other.draws).any()
    assert first.interval(0.95).low == pytest.approx(other.interval(0.95).low, abs=0.003)


def test_a_census_leaves_no_doubt_and_a_sample_without_errors_leaves_some() -> None:
    metric = metric_of(MetricName.f1, 1)
    whole = metric_posterior(BINARY, metric, population=int(BINARY.sum()), seed=0)
    assert (whole.interval(0.95).low, whole.interval(0.95).high) == (whole.estimate,) * 2
    assert whole.standard_error == 0
    perfect = metric_posterior(np.diag([60, 40]), metric, population=9815, seed=0)
    assert perfect.estimate == perfect.interval(0.95).high == 1
    assert 0.93 < perfect.interval(0.95).low < 0.99


def _samples(population: NDArray[np.int64], n: int, count: int, *, finite: bool) -> NDArray[np.int64]:
    generator, cells = np.random.default_rng(42), population.ravel()
    if finite:
        drawn = generator.multivariate_hypergeometric(cells, n, count, method="marginals")
    else:
        drawn = generator.multinomial(n, cells / cells.sum(), count)
    return np.asarray(drawn).reshape(count, *population.shape)


@pytest.mark.parametrize("finite", [True, False])
@pytest.mark.parametrize(
    ("name", "positive", "population", "n"),
    [
        (MetricName.f1_macro, None, MINILM, 300),
        (MetricName.mcc, None, MINILM, 300),
        (MetricName.f1_weighted, None, MINILM, 6000),
        (MetricName.f1, 1, BINARY, 200),
        (MetricName.mcc, None, BINARY, 80),
        (MetricName.f1, 1, np.array([[9500, 40], [75, 200]]), 1000),  # a rare label: 28 of it in a sample
    ],
)
def test_the_intervals_cover(
    name: MetricName, positive: int | None, population: NDArray[np.int64], n: int, *, finite: bool
) -> None:
    """As often as promised, but for the noise of 400 samples (a standard error is 0.015 and 0.011)."""
    metric = metric_of(name, positive)
    truth, total = float(metric(population)), int(population.sum())
    held = {0.9: 0, 0.95: 0}
    for seed, sample in enumerate(_samples(population, n, 400, finite=finite)):
        found = metric_posterior(sample, metric, population=total if finite else None, seed=seed, draws=500)
        for level in held:
            interval = found.interval(level)
            held[level] += interval.low <= truth <= interval.high
    assert held[0.9] / 400 == pytest.approx(0.9, abs=0.045)
    assert held[0.95] / 400 == pytest.approx(0.95, abs=0.035)


def test_counts_that_cannot_be_are_refused() -> None:
    metric = metric_of(MetricName.mcc)
    with pytest.raises(ImpossibleCountsError):
        metric_posterior(np.zeros((3, 3), dtype=int), metric, population=None, seed=0)
    with pytest.raises(ImpossibleCountsError):
        metric_posterior(MINILM, metric, population=100, seed=0)
