"""The posterior against Bayes' rule by enumeration, the known answers, and its calibration."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import beta, betabinom, hypergeom

from app.statistics.counts import Stratum
from app.statistics.equivalence import Zone
from app.statistics.posterior import count_posterior, p_inside_finite, p_inside_superpopulation

EVERYTHING = Zone(-1.0, 2.0)


@pytest.mark.parametrize(
    ("k", "n", "margin", "expected"),
    [(184, 200, 0.0105, 0.4161), (1836, 2000, 0.0105, 0.9446), (4565, 4998, 0.0205, 1.0)],
)
def test_known_answers(k: int, n: int, margin: float, expected: float) -> None:
    found = p_inside_finite((Stratum(n, k, 9815),), Zone.around(0.918, margin))
    assert round(found, 4) == expected


def by_bayes(k: int, n: int, total: int, prior: float) -> NDArray[np.float64]:
    counts = np.arange(total + 1)
    joint = betabinom.pmf(counts, total, prior, prior) * hypergeom.pmf(k, total, counts, n)
    return np.asarray(joint / joint.sum())


@pytest.mark.parametrize(("k", "n", "total"), [(0, 5, 12), (5, 5, 12), (3, 5, 12), (11, 12, 12), (20, 30, 90)])
def test_one_stratum_is_bayes_rule_with_the_jeffreys_prior(k: int, n: int, total: int) -> None:
    found = count_posterior((Stratum(n, k, total),))
    expected = by_bayes(k, n, total, 0.5)
    assert found.offset == k
    assert found.pmf == pytest.approx(expected[k : k + len(found.pmf)], abs=1e-12)
    assert expected[k : k + len(found.pmf)].sum() == pytest.approx(1)


def test_strata_are_bayes_rule_with_the_prior_item_shared_by_weight() -> None:
    strata = (Stratum(10, 9, 20), Stratum(12, 3, 15), Stratum(11, 11, 25))
    expected = np.zeros(61)
    parts = [by_bayes(s.correct, s.n, s.total or 0, (s.total or 0) / 120) for s in strata]
    for a, b, c in product(*(range(len(part)) for part in parts)):
        expected[a + b + c] += parts[0][a] * parts[1][b] * parts[2][c]
    found = count_posterior(strata)
    assert found.pmf == pytest.approx(expected[23 : 23 + len(found.pmf)], abs=1e-12)


@given(st.integers(1, 400), st.data())
@settings(deadline=None, derandomize=True, max_examples=60)
def test_the_posterior_sums_to_one_and_mirrors(n: int, data: st.DataObject) -> None:
    strata = []
    for _ in range(data.draw(st.integers(1, 4))):
        total = data.draw(st.integers(n, 4 * n))
        strata.append(Stratum(n, data.draw(st.integers(0, n)), total))
    mirrored = [Stratum(s.n, s.n - s.correct, s.total) for s in strata]
    zone = Zone(0.31, 0.77)
    assert count_posterior(strata).pmf.sum() == pytest.approx(1, abs=1e-12)
    assert count_posterior(strata).pmf.min() >= 0
    for p_inside in (p_inside_finite, p_inside_superpopulation):
        assert p_inside(strata, EVERYTHING) == pytest.approx(1, abs=1e-12)
        assert p_inside(strata, zone) == pytest.approx(p_inside(mirrored, Zone(0.23, 0.69)), abs=1e-9)


def test_a_long_convolution_by_fourier_transform_is_the_direct_one() -> None:
    strata = (Stratum(800, 700, 2000), Stratum(600, 590, 1900))
    direct = np.convolve(
        betabinom.pmf(np.arange(1201), 1200, 700 + 10 / 39, 100 + 10 / 39),
        betabinom.pmf(np.arange(1301), 1300, 590 + 9.5 / 39, 10 + 9.5 / 39),
    )
    assert count_posterior(strata).pmf == pytest.approx(direct, abs=1e-13)


def test_a_census_knows() -> None:
    assert p_inside_finite((Stratum(9815, 9010, 9815),), Zone.around(0.918, 0.0005)) == 1
    assert p_inside_finite((Stratum(9815, 9000, 9815),), Zone.around(0.918, 0.0005)) == 0
    assert p_inside_finite((Stratum(5, 4, 5), Stratum(3, 3, 3)), Zone(0.874, 0.876)) == 1


def test_the_edge_belongs_to_the_inside() -> None:
    # 7, 8 and 9 of 10 lie in [0.7, 0.9]; 0.8 - 0.1 is a hair above 0.7 in floating point.
    zone = Zone.around(0.8, 0.1)
    assert zone.low > 0.7
    pmf = count_posterior((Stratum(1, 0, 10),)).pmf
    assert p_inside_finite((Stratum(1, 0, 10),), zone) == pytest.approx(pmf[7:10].sum())


def test_new_items_have_a_beta_posterior() -> None:
    expected = beta.cdf(0.9285, 184.5, 16.5) - beta.cdf(0.9075, 184.5, 16.5)
    assert p_inside_superpopulation((Stratum(200, 184),), Zone.around(0.918, 0.0105)) == pytest.approx(expected)
    assert p_inside_superpopulation((Stratum(20, 20),), Zone(0.9, 1.1)) == pytest.approx(beta.sf(0.9, 20.5, 0.5))


def test_an_endless_population_is_the_superpopulation() -> None:
    zone = Zone.around(0.918, 0.0105)
    finite = p_inside_finite((Stratum(200, 184, 2_000_000),), zone)
    assert finite == pytest.approx(p_inside_superpopulation((Stratum(200, 184),), zone), abs=2e-4)


@pytest.mark.parametrize(
    ("sizes", "totals", "rate"),
    [((66,) * 3, (3479, 3123, 3213), 0.92), ((12,) * 77, (40,) * 77, 0.925), ((4,) * 150, (30,) * 150, 0.9)],
)
def test_calibration_the_truth_is_as_often_in_the_tails_as_the_posterior_says(
    sizes: tuple[int, ...], totals: tuple[int, ...], rate: float
) -> None:
    # A Jeffreys prior item in each of the 77 strata would put the truth into one tail 19 times in 20.
    generator = np.random.default_rng(1946)
    truths = np.rint(rate * np.array(totals)).astype(int)
    tails = np.zeros(2)
    for k in generator.hypergeometric(truths, np.array(totals) - truths, sizes, size=(150, len(sizes))):
        strata = tuple(Stratum(*each) for each in zip(sizes, k.tolist(), totals, strict=True))
        found = count_posterior(strata)
        below = found.pmf[found.offset + np.arange(len(found.pmf)) < truths.sum()].sum()
        tails += [below < 0.05, below > 0.95]
    assert tails.max() / 150 <= 0.12
    assert tails.sum() > 0
