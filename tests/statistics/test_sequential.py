"""The confidence sequence against its definition, and its coverage at all times together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import betabinom

from app.statistics.counts import ImpossibleCountsError
from app.statistics.equivalence import Position, Zone
from app.statistics.intervals import binomial_limits, finite_interval
from app.statistics.sequential import ConfidenceSequence, sequence_limits


def by_definition(k: int, n: int, total: int, alpha: float) -> tuple[int, int]:
    counts = np.arange(total + 1)
    prior = betabinom.pmf(counts, total, 0.5, 0.5)
    posterior = np.zeros(total + 1)
    posterior[k : total - (n - k) + 1] = betabinom.pmf(np.arange(total - n + 1), total - n, k + 0.5, n - k + 0.5)
    kept = np.flatnonzero(prior < posterior / alpha)
    assert (np.diff(kept) == 1).all()
    return int(kept[0]), int(kept[-1])


@given(st.integers(2, 200), st.sampled_from([0.0113, 0.0517, 0.0971, 0.3177]), st.data())
@settings(deadline=None, derandomize=True, max_examples=200)
def test_limits_are_the_prior_posterior_ratios(total: int, alpha: float, data: st.DataObject) -> None:
    n = data.draw(st.integers(1, total))
    k = data.draw(st.integers(0, n))
    expected = (k, k) if n == total else by_definition(k, n, total, alpha)
    assert tuple(int(side) for side in sequence_limits(k, n, total, alpha)) == expected


def runs(truth: int, total: int, count: int) -> NDArray[np.int64]:
    generator = np.random.default_rng(2006)
    items = np.zeros((count, total), dtype=np.int64)
    items[:, :truth] = 1
    return np.asarray(generator.permuted(items, axis=1).cumsum(axis=1))


@pytest.mark.parametrize("truth", [150, 184])
def test_the_sequence_holds_the_truth_at_all_times_where_naive_peeking_does_not(truth: int) -> None:
    correct, n = runs(truth, 200, 1000), np.arange(1, 201)
    low, high = sequence_limits(correct, n, 200, 0.05)
    ever_missed = ((low > truth) | (high < truth)).any(axis=1).mean()
    assert ever_missed <= 0.05
    naive_low, naive_high = binomial_limits(correct[:, :100], n[:100], 0.95)
    naive = ((naive_low > truth / 200) | (naive_high < truth / 200)).any(axis=1).mean()
    assert naive > 0.08


def test_a_wrong_claim_is_called_reproduced_at_some_time_in_no_more_than_one_run_in_twenty() -> None:
    # The truth, 0.87, lies just outside the margin of 0.9 +- 0.0295: every early `inside` is an error.
    zone, correct, n = Zone.around(0.9, 0.0295), runs(1740, 2000, 400), np.arange(1, 2001, 5)
    low, high = sequence_limits(correct[:, n - 1], n, 2000, 0.05)
    inside = ((low / 2000 >= zone.low) & (high / 2000 <= zone.high)).any(axis=1)
    assert 0 < inside.mean() <= 0.05


def test_it_starts_with_everything_and_ends_with_the_point() -> None:
    low, high = sequence_limits([0, 7], [0, 9], 9)
    assert (low.tolist(), high.tolist()) == ([0, 7], [9, 7])
    start = ConfidenceSequence(9)
    assert (start.interval.low, start.interval.high) == (0, 1)
    end = start.update(correct=7, n=9).interval
    assert (end.low, end.high) == (7 / 9, 7 / 9)


@given(st.integers(1, 2000), st.data())
@settings(deadline=None, derandomize=True)
def test_it_mirrors_and_is_wider_than_the_interval_for_one_look(total: int, data: st.DataObject) -> None:
    n = data.draw(st.integers(1, total))
    k = data.draw(st.integers(0, n))
    here, there = (ConfidenceSequence(total, n=n, correct=c).interval for c in (k, n - k))
    assert (here.low, here.high) == pytest.approx((1 - there.high, 1 - there.low), abs=1e-12)
    once = finite_interval(k, n, total)
    assert here.high - here.low >= once.high - once.low - 2.5 / total
    assert here.low <= k / n <= here.high


def test_a_run_goes_on_until_it_decides() -> None:
    zone, state = Zone.around(0.918, 0.0305), ConfidenceSequence(9815)
    assert state.position(zone) is Position.undecided
    state = state.update(correct=184, n=200)
    assert state.position(zone) is Position.undecided
    assert state.update(correct=2295, n=2500).position(zone) is Position.inside
    assert state.update(correct=400, n=500).position(zone) is Position.below
    assert ConfidenceSequence(9815, n=2500, correct=2495).position(zone) is Position.above


@pytest.mark.parametrize(("correct", "n"), [(183, 220), (186, 201), (184, 199), (185, 10_000), (float("nan"), 300)])
def test_what_cannot_follow_is_refused(correct: int, n: int) -> None:
    with pytest.raises(ImpossibleCountsError):
        ConfidenceSequence(9815, n=200, correct=184).update(correct=correct, n=n)


def test_a_sequence_that_cannot_start_is_refused() -> None:
    for population, n, correct in [(0, 0, 0), (10, 0, 1), (10, 11, 1), (10, 2, 3), (-1, 0, 0)]:
        with pytest.raises(ImpossibleCountsError):
            ConfidenceSequence(population, n=n, correct=correct)
    with pytest.raises(ValueError, match="alpha"):
        ConfidenceSequence(10, alpha=0)


def test_a_large_population_stays_exact() -> None:
    (low,), (high,) = sequence_limits([91_800], [100_000], 1_000_000)
    counts = np.array([low - 1, low, high, high + 1])
    prior = betabinom.logpmf(counts, 1_000_000, 0.5, 0.5)
    posterior = betabinom.logpmf(counts - 91_800, 900_000, 91_800.5, 8_200.5)
    assert (prior - posterior < np.log(20)).tolist() == [False, True, True, False]
