"""The two one-sided tests told by intervals."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.statistics.equivalence import Position, Zone, judge
from app.statistics.intervals import Interval, IntervalMethod

ZONE = Zone.around(0.918, 0.0105)


def interval(low: float, high: float) -> Interval:
    return Interval(low, high, IntervalMethod.wilson)


@pytest.mark.parametrize(
    ("narrow", "wide", "position"),
    [
        ((0.908, 0.928), (0.906, 0.930), Position.inside),
        ((0.9075, 0.9285), (0.9, 0.93), Position.inside),
        ((0.9074, 0.9285), (0.9, 0.93), Position.undecided),
        ((0.9075, 0.9286), (0.9, 0.93), Position.undecided),
        ((0.85, 0.9), (0.84, 0.9074), Position.below),
        ((0.85, 0.9), (0.84, 0.9075), Position.undecided),
        ((0.95, 0.97), (0.9286, 0.98), Position.above),
        ((0.95, 0.97), (0.9285, 0.98), Position.undecided),
        ((0.8, 0.99), (0.7, 1.0), Position.undecided),
    ],
)
def test_positions_with_the_edges_inside(
    narrow: tuple[float, float], wide: tuple[float, float], position: Position
) -> None:
    assert judge(interval(*narrow), interval(*wide), ZONE) is position


def test_an_edge_is_an_edge_in_floating_point_too() -> None:
    # 0.8 - 0.1 is above 0.7 by one rounding; 7 of 10 lies on the edge all the same.
    zone = Zone.around(0.8, 0.1)
    assert zone.low > 0.7
    assert zone.holds(interval(0.7, 0.9))
    assert zone.counts(10) == (7, 9)
    assert zone.counts(5) == (4, 4)


share = st.floats(0, 1)


@given(st.lists(share, min_size=4, max_size=4), share, st.floats(0.001, 0.4))
@settings(deadline=None, derandomize=True)
def test_mirrored_evidence_gives_the_mirrored_position(ends: list[float], value: float, margin: float) -> None:
    outer_low, low, high, outer_high = sorted(ends)
    here = judge(interval(low, high), interval(outer_low, outer_high), Zone.around(value, margin))
    there = judge(interval(1 - high, 1 - low), interval(1 - outer_high, 1 - outer_low), Zone.around(1 - value, margin))
    mirrored = {Position.below: Position.above, Position.above: Position.below}
    assert there is mirrored.get(here, here)


@given(st.lists(share, min_size=4, max_size=4), share, st.floats(0.001, 0.4))
@settings(deadline=None, derandomize=True)
def test_of_nested_intervals_only_one_position_can_hold(ends: list[float], value: float, margin: float) -> None:
    outer_low, low, high, outer_high = sorted(ends)
    zone = Zone.around(value, margin)
    position = judge(interval(low, high), interval(outer_low, outer_high), zone)
    assert (position is Position.inside) == (zone.low <= low and high <= zone.high)
    assert (position is Position.below) == (outer_high < zone.low)
    assert (position is Position.above) == (outer_low > zone.high)
