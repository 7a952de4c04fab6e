"""The exact limits against their definition in whole numbers, and their coverage by enumeration."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binomtest, hypergeom

from app.statistics.hypergeometric import first_true, hypergeometric_limits


def by_definition(k: int, n: int, total: int, alpha: Fraction) -> tuple[int, int]:
    def p(x: int, correct: int) -> Fraction:
        return Fraction(comb(correct, x) * comb(total - correct, n - x), comb(total, n))

    least = [c for c in range(total + 1) if sum(p(x, c) for x in range(k, n + 1)) > alpha / 2]
    most = [c for c in range(total + 1) if sum(p(x, c) for x in range(k + 1)) > alpha / 2]
    return least[0], most[-1]


@pytest.mark.parametrize("alpha", [Fraction(1, 20), Fraction(1, 10)])
@pytest.mark.parametrize(("n", "total"), [(1, 1), (1, 9), (4, 9), (8, 9), (9, 9), (7, 23), (22, 23)])
def test_limits_are_those_of_the_definition(n: int, total: int, alpha: Fraction) -> None:
    k = np.arange(n + 1)
    low, high = hypergeometric_limits(k, n, total, float(alpha))
    assert list(zip(low.tolist(), high.tolist(), strict=True)) == [
        by_definition(i, n, total, alpha) for i in k.tolist()
    ]


@pytest.mark.parametrize("alpha", [0.05, 0.1])
@pytest.mark.parametrize(("n", "total"), [(5, 40), (20, 40), (39, 40), (30, 200)])
def test_each_side_misses_no_more_often_than_half_alpha_whatever_the_truth(n: int, total: int, alpha: float) -> None:
    k = np.arange(n + 1)
    low, high = hypergeometric_limits(k, n, total, alpha)
    for truth in range(total + 1):
        p = hypergeom.pmf(k, total, truth, n)
        assert p[low > truth].sum() <= alpha / 2 + 1e-12
        assert p[high < truth].sum() <= alpha / 2 + 1e-12


def test_the_limits_are_tight_one_further_would_be_rejected() -> None:
    k = np.arange(1, 60)
    low, _ = hypergeometric_limits(k, 60, 500, 0.05)
    assert np.all(hypergeom.sf(k - 1, 500, low, 60) > 0.025)
    assert np.all(hypergeom.sf(k - 1, 500, low - 1, 60) <= 0.025)


@st.composite
def samples(draw: st.DrawFn) -> tuple[int, int, int]:
    total = draw(st.integers(1, 20_000))
    n = draw(st.integers(1, total))
    return draw(st.integers(0, n)), n, total


@given(samples())
@settings(deadline=None, derandomize=True, max_examples=200)
def test_limits_mirror_nest_and_respect_what_was_seen(sample: tuple[int, int, int]) -> None:
    k, n, total = sample
    low, high = hypergeometric_limits(k, n, total, [0.05, 0.1])
    other_low, other_high = hypergeometric_limits(n - k, n, total, [0.05, 0.1])
    assert (low == total - other_high).all()
    assert (high == total - other_low).all()
    assert low[0] <= low[1] <= high[1] <= high[0]
    assert k <= low[0]
    assert high[0] <= total - (n - k)


@given(st.integers(1, 3000), st.data())
@settings(deadline=None, derandomize=True, max_examples=50)
def test_limits_grow_with_the_count_and_close_at_a_census(n: int, data: st.DataObject) -> None:
    total = data.draw(st.integers(n, 4 * n))
    k = data.draw(st.integers(0, n - 1))
    low, high = hypergeometric_limits([k, k + 1], n, total, 0.05)
    assert low[0] <= low[1]
    assert high[0] <= high[1]
    assert [int(side) for side in hypergeometric_limits(k, n, n, 0.05)] == [k, k]


def test_a_million_items_take_twenty_steps() -> None:
    calls = 0

    def holds(candidate: NDArray[np.int64]) -> NDArray[np.bool]:
        nonlocal calls
        calls += 1
        return candidate >= np.array([917_000, 3])

    assert first_true(0, np.array([1_000_000, 1_000_000]), holds).tolist() == [917_000, 3]
    assert calls <= 20


def test_a_large_population_approaches_the_binomial() -> None:
    from_finite = [float(side) / 1e8 for side in hypergeometric_limits(184, 200, 100_000_000, 0.05)]
    exact = binomtest(184, 200).proportion_ci(0.95, method="exact")
    assert from_finite == pytest.approx([exact.low, exact.high], abs=1e-6)
