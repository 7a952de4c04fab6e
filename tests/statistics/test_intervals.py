"""Intervals of one share: known answers, reference implementations, and coverage by enumeration."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, hypergeom
from statsmodels.stats.proportion import proportion_confint

from app.statistics.counts import ImpossibleCountsError
from app.statistics.intervals import (
    SMALL_SAMPLE,
    IntervalMethod,
    binomial_interval,
    binomial_limits,
    clopper_pearson_interval,
    finite_interval,
    finite_intervals,
    standard_error,
    wilson_interval,
)


def test_standard_errors_of_the_contract() -> None:
    assert standard_error(263, 307) == pytest.approx(0.020031, abs=5e-7)
    assert standard_error(3226, 9815) == pytest.approx(0.0047416402907538, abs=5e-17)
    assert 3226 / 9815 == 0.32868059093224655


def test_the_standard_error_vanishes_at_a_census_and_is_unknown_for_a_single_item() -> None:
    assert standard_error(5, 10, 10) == 0
    assert standard_error(1, 1, 1) == 0
    assert standard_error(1, 1) is None
    assert standard_error(1, 1, 5) is None
    assert standard_error(5, 10, 40) == pytest.approx(math.sqrt(0.25 / 9 * 0.75))


def test_the_finite_standard_error_is_unbiased_over_all_samples() -> None:
    n, total, truth = 7, 20, 13
    k = np.arange(n + 1)
    p = hypergeom.pmf(k, total, truth, n)
    squares = [(standard_error(int(i), n, total) or 0.0) ** 2 for i in k]
    assert p @ squares == pytest.approx(p @ (k / n - truth / total) ** 2)


def test_intervals_of_the_contract() -> None:
    assert wilson_interval(0, 307).high == pytest.approx(0.0123583, abs=5e-8)
    assert wilson_interval(0, 1324).high == pytest.approx(0.0028930, abs=5e-8)
    wilson, exact = wilson_interval(81, 263), clopper_pearson_interval(81, 263)
    assert [round(end, 4) for end in (wilson.low, wilson.high)] == [0.2553, 0.3662]
    assert [round(end, 4) for end in (exact.low, exact.high)] == [0.2527, 0.3676]


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 30), (30, 30), (7, 30), (460, 500), (9010, 9815)])
def test_binomial_intervals_are_scipys(k: int, n: int, level: float) -> None:
    reference = binomtest(k, n)
    score, exact = reference.proportion_ci(level, method="wilson"), reference.proportion_ci(level, method="exact")
    for ours, theirs in ((wilson_interval(k, n, level), score), (clopper_pearson_interval(k, n, level), exact)):
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-10)


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_limits_for_new_items_are_statsmodels_for_effective_samples_too(level: float) -> None:
    n = np.array([0.7, 8.0, 39.99, 40.0, 163.2, 4986.31])[:, None]
    k = n * np.array([0, 0.013, 0.5, 0.918, 1])
    score, exact = (proportion_confint(k, n + 0 * k, alpha=1 - level, method=method) for method in ("wilson", "beta"))
    for side, found in enumerate(binomial_limits(k, n, level)):
        expected = np.where((n >= 40) & (k > 0) & (k < n), score[side], exact[side])
        assert found == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize(
    ("k", "n", "method"),
    [
        (20, 39, "clopper_pearson"),
        (20, 40, "wilson"),
        (0, 1000, "clopper_pearson"),
        (1000, 1000, "clopper_pearson"),
        (1, 1000, "wilson"),
    ],
)
def test_clopper_pearson_at_the_ends_and_for_small_samples(k: int, n: int, method: str) -> None:
    found = binomial_interval(k, n)
    expected = wilson_interval(k, n) if method == "wilson" else clopper_pearson_interval(k, n)
    assert found == expected
    assert found.method == IntervalMethod(method)


@pytest.mark.parametrize("n", [5, 39, 40, 100, 500])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_coverage_for_new_items(n: int, level: float) -> None:
    k, truths = np.arange(n + 1), np.linspace(0.05, 0.95, 181)
    low, high = binomial_limits(k, n, level)
    covered = np.array([binom.pmf(k, n, p)[(low <= p) & (p <= high)].sum() for p in truths])
    if n < SMALL_SAMPLE:
        assert covered.min() >= level
    else:
        # Wilson: nominal on average, and nowhere in this range far below.
        assert abs(covered.mean() - level) < 0.01
        assert covered.min() > level - 0.05


@pytest.mark.parametrize("n", [1, 39, 40, 41, 200])
def test_limits_for_new_items_grow_with_the_count(n: int) -> None:
    for side in binomial_limits(np.arange(n + 1), n, 0.95):
        assert np.all(np.diff(side) > 0)


@given(st.integers(1, 5000), st.data())
@settings(deadline=None, derandomize=True)
def test_intervals_mirror_and_hold_the_estimate(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    total = data.draw(st.integers(n, 2 * n))
    for one, other in [
        (binomial_interval(k, n), binomial_interval(n - k, n)),
        (finite_interval(k, n, total), finite_interval(n - k, n, total)),
    ]:
        assert (one.low, one.high) == pytest.approx((1 - other.high, 1 - other.low), abs=1e-12)
        assert 0 <= one.low <= k / n <= one.high <= 1


@given(st.integers(1, 10_000), st.data())
@settings(deadline=None, derandomize=True)
def test_a_census_is_a_point(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    found = finite_interval(k, n, n)
    assert (found.low, found.high) == (k / n, k / n)


def test_next_to_a_census_the_interval_still_holds_the_estimate() -> None:
    # 99 or 98 of 100 are correct, and 98 is rejected: the only count left is not 98/99.
    found = finite_interval(98, 99, 100)
    assert (found.low, found.high) == (98 / 99, 99 / 100)


def test_between_two_counts_the_limits_are_interpolated_out_to_whole_counts() -> None:
    (lower,), (between,), (upper,) = (finite_intervals(k, 50, 400, (0.95,)) for k in (30, 30.25, 31))
    low, high = 400 * (0.75 * lower.low + 0.25 * upper.low), 400 * (0.75 * lower.high + 0.25 * upper.high)
    assert (between.low, between.high) == (math.floor(low) / 400, math.ceil(high) / 400)
    assert lower.low < between.low
    assert between.high < upper.high


@pytest.mark.parametrize("n", [7, 9, 16, 29, 307])
def test_nothing_and_everything_correct_end_at_nothing_and_everything(n: int) -> None:
    for made in (wilson_interval, clopper_pearson_interval):
        assert (made(0, n).low, made(n, n).high) == (0.0, 1.0)


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 95.0, float("nan")])
def test_a_level_that_is_no_probability_is_refused(level: float) -> None:
    with pytest.raises(ValueError, match="confidence level"):
        wilson_interval(1, 2, level)


def test_impossible_counts_are_refused_everywhere() -> None:
    for refused in (wilson_interval, clopper_pearson_interval, standard_error):
        with pytest.raises(ImpossibleCountsError):
            refused(3, 2)
    with pytest.raises(ImpossibleCountsError):
        finite_interval(1, 3, 2)
