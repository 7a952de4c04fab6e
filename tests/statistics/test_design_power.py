"""Exact power against enumeration of the rule itself, and the sizes it takes."""

import numpy as np
import pytest
from scipy.stats import binom, hypergeom

from app.statistics.counts import ImpossibleCountsError, Stratum
from app.statistics.design import accepted, exact_power, first_decided, powers, smallest_size
from app.statistics.equivalence import Position, Zone, judge
from app.statistics.stratified import stratified_intervals


def says_reproduced(k: int, n: int, population: int | None, zone: Zone) -> bool:
    strata = (Stratum(n, k, population),)
    narrow, wide = stratified_intervals(strata, (0.9, 0.95), finite=population is not None)
    return judge(narrow, wide, zone) is Position.inside


@pytest.mark.parametrize("population", [None, 60, 61])
@pytest.mark.parametrize(("rate", "margin"), [(0.9, 0.08), (0.5, 0.2), (1.0, 0.1), (0.0, 0.1), (0.95, 0.3), (0.5, 0.6)])
def test_power_is_the_probability_of_what_the_rule_accepts(population: int | None, rate: float, margin: float) -> None:
    zone = Zone.around(rate, margin)
    for n in (1, 7, 30, 45, 59, 60):
        held = [k for k in range(n + 1) if says_reproduced(k, n, population, zone)]
        (low,), (high,) = accepted([n], zone, population)
        assert list(range(low, high + 1)) == held
        truth = binom(n, rate) if population is None else hypergeom(population, round(rate * population), n)
        expected = sum(truth.pmf(k) for k in held)
        assert exact_power(n, rate=rate, margin=margin, population=population) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("rate", "margin"), [(0.97, 0.01), (0.98, 0.01), (0.98, 0.02)])
def test_next_to_a_census_what_is_accepted_holds_the_estimate_too(rate: float, margin: float) -> None:
    # 95 of 99 is outside 0.97 +- 0.01, though the only count of 100 that it leaves, 96, is inside.
    zone = Zone.around(rate, margin)
    (low,), (high,) = accepted([99], zone, 100)
    assert list(range(low, high + 1)) == [k for k in range(100) if says_reproduced(k, 99, 100, zone)]


@pytest.mark.parametrize(
    ("margin", "smallest", "about"), [(0.03, 701, 700), (0.02, 1449, 1420), (0.01, 3963, 4000), (0.005, 7183, 7150)]
)
def test_known_answers(margin: float, smallest: int, about: int) -> None:
    found = smallest_size(rate=0.918, margin=margin, population=9815)
    assert found == smallest
    assert found == pytest.approx(about, rel=0.025)
    after = powers(np.arange(smallest - 1, smallest + 300), rate=0.918, margin=margin, population=9815)[0]
    assert after[0] < 0.8
    assert (after[1:] >= 0.8).all()


@pytest.mark.parametrize(("population", "rate", "margin"), [(2500, 0.918, 0.02), (700, 0.5, 0.03), (300, 0.9, 0.05)])
def test_power_stays_from_the_smallest_size_on(population: int, rate: float, margin: float) -> None:
    every = powers(np.arange(1, population + 1), rate=rate, margin=margin, population=population)[0]
    for power in (0.5, 0.8, 0.95):
        found = smallest_size(rate=rate, margin=margin, population=population, power=power)
        assert found is not None
        assert found == np.flatnonzero(every < power)[-1] + 2
        # A sawtooth: some smaller size had the power already.
        assert (every[: found - 1] >= power).any()


def test_for_new_items_power_stays_too() -> None:
    found = smallest_size(rate=0.918, margin=0.03, population=None)
    every = powers(np.arange(1, 4000), rate=0.918, margin=0.03, population=None)[0]
    assert found == np.flatnonzero(every < 0.8)[-1] + 2


def test_a_margin_too_narrow_for_any_size_has_none() -> None:
    # No k / 10 lies within 0.001 of 0.918.
    assert smallest_size(rate=0.918, margin=0.001, population=10) is None
    assert exact_power(10, rate=0.918, margin=0.001, population=10) == 0


@pytest.mark.timeout(20)
@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_a_claim_at_the_end_of_the_scale_is_planned_without_walking_the_whole_population(rate: float) -> None:
    found = smallest_size(rate=rate, margin=0.01, population=1_000_000)
    # A perfect sample has to be too lucky for the best population outside the margin.
    n = np.arange(1, 400)
    assert found == n[hypergeom.pmf(n, 1_000_000, 989_999, n) <= 0.05][0]


def test_a_margin_that_holds_everything_needs_one_item() -> None:
    assert smallest_size(rate=0.5, margin=0.6, population=500) == 1
    assert smallest_size(rate=0.5, margin=0.6, population=None) == 1


def test_nonsense_is_refused() -> None:
    for rate, margin, power in [(1.1, 0.1, 0.8), (0.5, 0, 0.8), (0.5, float("nan"), 0.8), (0.5, 0.1, 1.0)]:
        with pytest.raises(ValueError, match="lies"):
            smallest_size(rate=rate, margin=margin, population=100, power=power)
    for n, population in [(0, 10), (11, 10), (0, None)]:
        with pytest.raises(ImpossibleCountsError):
            exact_power(n, rate=0.5, margin=0.1, population=population)


@pytest.mark.parametrize("threshold", [11, 12, 17, 500, 999, 1000])
def test_the_first_deciding_size_is_found_in_few_tries(threshold: int) -> None:
    tried: list[int] = []

    def decided(size: int) -> bool:
        tried.append(size)
        return size >= threshold

    assert first_decided(decided, 10, 1000) == threshold
    assert len(tried) <= 22
    assert all(10 < size <= 1000 for size in tried)


def test_nothing_decides_where_the_end_does_not() -> None:
    assert first_decided(lambda size: size > 1000, 10, 1000) is None
    assert first_decided(lambda _: True, 10, 10) is None
