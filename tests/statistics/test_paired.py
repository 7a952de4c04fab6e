"""Paired comparison and many tests at once, against reference implementations and by enumeration."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import multinomial, norm
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from app.statistics.counts import ImpossibleCountsError
from app.statistics.paired import (
    benjamini_hochberg,
    compare_paired,
    mcnemar_exact,
    paired_from_counts,
    tango_interval,
)


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (3, 9), (9, 3), (40, 20), (5, 5), (120, 121)])
def test_mcnemar_is_statsmodels(b: int, c: int) -> None:
    expected = 1.0 if b == c else mcnemar([[50, b], [c, 50]], exact=True).pvalue
    assert mcnemar_exact(b, c) == pytest.approx(expected, rel=1e-12)


def by_quartic(n: int, b: int, c: int, level: float) -> tuple[float, float]:
    # The closed form of Yang, Sun & Hardin 2013 (Stat. Med. 32:1336).
    g = norm.isf((1 - level) / 2) ** 2
    d, s = b - c, b + c
    roots = np.roots(
        [
            n**2 * (n / g + 1) ** 2,
            -n * d * (n / g + 1) * (4 * n / g + 1),
            2 * n * d**2 * (3 * n / g + 2) / g - n**2 * (s / g + 1),
            n * d * (2 * s / g + 1) - d**3 * (4 * n / g + 1) / g,
            d**2 * (d**2 / g - s) / g,
        ]
    )
    real = sorted(float(root.real) for root in roots if abs(root.imag) < 1e-6)
    return real[0], real[-1]


@pytest.mark.parametrize("level", [0.9, 0.95])
@pytest.mark.parametrize(
    ("n", "b", "c"), [(160, 40, 20), (21, 1, 7), (50, 12, 2), (100, 5, 8), (9815, 300, 250), (30, 4, 1)]
)
def test_the_interval_is_tangos_closed_form(n: int, b: int, c: int, level: float) -> None:
    assert tango_interval(n=n, only_first=b, only_second=c, level=level) == pytest.approx(
        by_quartic(n, b, c, level), abs=1e-7
    )


def test_the_interval_ends_where_the_score_statistic_is_critical() -> None:
    n, b, c = 50, 12, 2
    for d in tango_interval(n=n, only_first=b, only_second=c):

        def surprise(q: float, d: float = d) -> float:
            p = q + d
            return float(-(b * np.log(p) + c * np.log(q) + (n - b - c) * np.log(1 - p - q)))

        q = minimize_scalar(surprise, bounds=(max(0.0, -d) + 1e-12, (1 - d) / 2 - 1e-12), options={"xatol": 1e-12}).x
        assert abs(b - c - n * d) / np.sqrt(n * (2 * q + d - d * d)) == pytest.approx(norm.isf(0.025), abs=1e-4)


@pytest.mark.parametrize(
    ("n", "b", "c", "expected"),
    [(50, 50, 0, 1.0), (50, 0, 50, -1.0), (50, 0, 0, 0.0)],
)
def test_the_interval_at_the_ends(n: int, b: int, c: int, expected: float) -> None:
    low, high = tango_interval(n=n, only_first=b, only_second=c)
    width = norm.isf(0.025) ** 2 / (n + norm.isf(0.025) ** 2)
    assert low <= expected <= high
    assert -1 <= low < high <= 1
    if expected == 0:
        assert (low, high) == pytest.approx((-width, width), abs=1e-9)


@pytest.mark.parametrize("p", [(0.1, 0.1), (0.2, 0.05), (0.05, 0.02), (0.4, 0.4)])
def test_coverage_of_the_interval_by_enumeration(p: tuple[float, float]) -> None:
    n, covered = 25, 0.0
    for b, c in product(range(n + 1), repeat=2):
        if b + c <= n:
            low, high = tango_interval(n=n, only_first=b, only_second=c)
            if low <= p[0] - p[1] <= high:
                covered += multinomial.pmf([b, c, n - b - c], n, [*p, 1 - sum(p)])
    assert 0.93 <= covered <= 0.995


@given(st.integers(1, 300), st.data())
@settings(deadline=None, derandomize=True)
def test_swapping_the_two_turns_the_comparison_around(n: int, data: st.DataObject) -> None:
    b = data.draw(st.integers(0, n))
    c = data.draw(st.integers(0, n - b))
    here = paired_from_counts(n=n, only_first=b, only_second=c)
    there = paired_from_counts(n=n, only_first=c, only_second=b)
    assert here.difference == -there.difference == (b - c) / n
    assert here.interval == (-there.interval[1], -there.interval[0])
    assert here.p_value == pytest.approx(there.p_value)
    assert here.interval[0] <= here.difference <= here.interval[1]


def test_items_are_compared_one_by_one() -> None:
    first = np.array([True, True, True, False, False, True])
    second = np.array([True, False, False, True, False, True])
    found = compare_paired(first, second, level=0.9)
    assert (found.n, found.only_first, found.only_second, found.level) == (6, 2, 1, 0.9)
    assert found.difference == pytest.approx(1 / 6)
    assert found == paired_from_counts(n=6, only_first=2, only_second=1, level=0.9)


def test_what_is_not_paired_is_refused() -> None:
    for first, second in [([True], [True, False]), ([1, 0], [1, 1]), ([], []), ([[True]], [[True]])]:
        with pytest.raises(ImpossibleCountsError):
            compare_paired(np.array(first), np.array(second))
    for n, b, c in [(5, 3, 3), (0, 0, 0), (5, -1, 2)]:
        with pytest.raises(ImpossibleCountsError):
            paired_from_counts(n=n, only_first=b, only_second=c)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
@settings(deadline=None, derandomize=True)
def test_benjamini_hochberg_is_statsmodels(p_values: list[float]) -> None:
    found = benjamini_hochberg(p_values, alpha=0.1)
    rejected, adjusted, _, _ = multipletests(p_values, alpha=0.1, method="fdr_bh")
    assert found.adjusted == pytest.approx(adjusted)
    assert all(
        ours == theirs
        for ours, theirs, q in zip(found.rejected, rejected, adjusted, strict=True)
        if abs(q - 0.1) > 1e-9
    )


def test_benjamini_hochberg_by_hand() -> None:
    found = benjamini_hochberg([0.04, 0.01, 0.02, 0.9])
    assert found.rejected == (False, True, True, False)
    assert found.adjusted == pytest.approx((0.04 * 4 / 3, 0.04, 0.04, 0.9))
    assert benjamini_hochberg([]).rejected == ()


@pytest.mark.parametrize("bad", [float("nan"), -0.1, 1.1])
def test_what_is_no_p_value_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="p-values"):
        benjamini_hochberg([0.5, bad])
