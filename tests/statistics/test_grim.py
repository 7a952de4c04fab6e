"""GRIM against brute force and the known answers."""

from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from fractions import Fraction
from math import floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.statistics.counts import ImpossibleCountsError
from app.statistics.grim import grim
from app.statistics.printed import PrintedValueError, Unit


@pytest.mark.parametrize(
    ("printed", "n", "possible"),
    [("22.4", 124, False), ("41.6", 124, False), ("22.4", 125, True), ("41.6", 125, True), ("86.6", 277, True)],
)
def test_known_answers(printed: str, n: int, *, possible: bool) -> None:
    assert grim(Decimal(printed), n, unit="percent").possible is possible


def test_counts_and_nearest_values() -> None:
    assert grim(Decimal("86.6"), 277, unit="percent").counts == (240, 240)
    found = grim(Decimal("22.4"), 124, unit="percent")
    assert found.counts == ()
    assert [str(near) for near in found.nearest] == ["21.8", "22.6"]
    assert [str(near) for near in grim(Decimal("0.416"), 124, unit="fraction").nearest] == ["0.411", "0.419"]
    assert [str(near) for near in grim(Decimal("99.9"), 10, unit="percent").nearest] == ["90.0", "100.0"]
    assert [str(near) for near in grim(Decimal("0.05"), 10, unit="fraction").nearest] == ["0.00", "0.10"]


def test_a_tie_may_round_up_or_to_the_even_digit() -> None:
    # 1/8 = 12.5 %: 13 rounding up, 12 rounding to even; 3/8 = 37.5 %: 38 both ways, never 37.
    assert grim(Decimal(13), 8, unit="percent").possible
    assert grim(Decimal(12), 8, unit="percent").possible
    assert grim(Decimal(38), 8, unit="percent").possible
    assert not grim(Decimal(37), 8, unit="percent").possible


def rounded(k: int, n: int, decimals: int, unit: Unit) -> set[Decimal]:
    exact = Fraction(k, n) * (100 if unit == "percent" else 1) * 10**decimals
    tie = exact - floor(exact) == Fraction(1, 2)
    # As a Decimal a tie is exact, and anything else is rounded alike by both.
    value = Decimal(floor(exact)) + (Decimal("0.5") if tie else Decimal(str(float(exact - floor(exact)))))
    return {value.quantize(Decimal(1), how).scaleb(-decimals) for how in (ROUND_HALF_UP, ROUND_HALF_EVEN)}


@given(st.integers(1, 150), st.integers(0, 3), st.sampled_from(["percent", "fraction"]), st.data())
@settings(deadline=None, derandomize=True, max_examples=300)
def test_grim_is_brute_force(n: int, decimals: int, unit: Unit, data: st.DataObject) -> None:
    whole = (100 if unit == "percent" else 1) * 10**decimals
    printed = Decimal(data.draw(st.integers(0, whole))).scaleb(-decimals)
    found = grim(printed, n, unit=unit)
    fitting = [k for k in range(n + 1) if printed in rounded(k, n, decimals, unit)]
    assert found.possible == bool(fitting)
    if fitting:
        assert (found.counts[0], found.counts[-1]) == (fitting[0], fitting[-1])
    else:
        reachable = {value for k in range(n + 1) for value in rounded(k, n, decimals, unit)}
        assert set(found.nearest) <= reachable
        assert found.nearest[0] == max(value for value in reachable if value < printed)
        assert all(value > printed for value in found.nearest[1:])
        assert all(grim(near, n, unit=unit).possible for near in found.nearest)


def test_every_value_is_possible_where_items_outnumber_printed_values() -> None:
    assert all(grim(Decimal(i).scaleb(-1), 1000, unit="percent").possible for i in range(1001))


def test_nonsense_is_refused() -> None:
    with pytest.raises(ImpossibleCountsError):
        grim(Decimal("22.4"), 0, unit="percent")
    with pytest.raises(PrintedValueError):
        grim(Decimal(101), 100, unit="percent")
    with pytest.raises(PrintedValueError):
        grim(Decimal("NaN"), 100, unit="percent")
