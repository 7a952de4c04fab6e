"""Doubtful examples of several batches are run again together: all of them, once, in float32, in batches that fit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.workers.runtime.fakes import FakeBackend, classifier, example, true_logits
from workers.runtime.batching import plan_batches
from workers.runtime.lanes import Lanes
from workers.runtime.predictor import Predictor
from workers.runtime.recheck import NO_RECHECK, Recheck, top_two_margin

pytestmark = pytest.mark.worker

_ERROR = 0.1
_COUNT = 300
_EXAMPLES = [example(number % 90, length=3 + number % 7) for number in range(_COUNT)]
_LENGTHS = [len(one) for one in _EXAMPLES]
_EXACT = np.array([true_logits(number % 90) for number in range(_COUNT)], dtype=np.float32)
_QUICK = FakeBackend(error=_ERROR).logits(_EXAMPLES)


def _plan(budget: int) -> list[NDArray[np.int64]]:
    return plan_batches(_LENGTHS, budget=budget, seed=0)


@pytest.mark.parametrize(
    ("share", "together"), [(0.0, 8), (0.01, 8), (0.07, 8), (0.13, 4), (0.2, 3), (0.5, 1), (1.0, 1)]
)
def test_so_many_batches_go_together_as_leave_half_a_batch(share: float, together: int) -> None:
    assert Recheck.for_share(share, bound=0.1, budget=60).together == together


def test_the_first_group_is_smaller() -> None:
    plan = _plan(40)
    assert [len(group) for group in NO_RECHECK.groups(plan)] == [1] * len(plan)
    recheck = Recheck(0.1, budget=60)
    groups = list(recheck.groups(plan))
    assert [len(group) for group in groups[:3]] == [2, 8, 8]
    assert [batch.tolist() for group in groups for batch in group] == [batch.tolist() for batch in plan]
    assert list(recheck.groups([])) == []


@settings(max_examples=60, deadline=None)
@given(
    lanes=st.integers(1, 4),
    budget=st.integers(20, 400),
    again=st.integers(1, 200),
    bound=st.floats(0, 0.5),
    known=st.sets(st.integers(0, _COUNT - 1)),
    grouped=st.booleans(),
)
def test_whatever_is_doubted_gets_float32s_answer_and_everything_else_keeps_its_own(
    *, lanes: int, budget: int, again: int, bound: float, known: set[int], grouped: bool
) -> None:
    exact, plan = FakeBackend(), _plan(budget)
    predictor = Predictor(classifier(exact, FakeBackend(error=_ERROR)), Lanes(lanes))
    recheck = Recheck(bound, again, together=8 if grouped else 1)
    stored = {position: np.full(3, position, dtype=np.float32) for position in known}
    found = list(predictor.run(_EXAMPLES, recheck.groups(plan), Predictor.quick_logits, recheck, known=stored))
    assert [batch.positions.tolist() for batch in found] == [batch.tolist() for batch in plan]
    positions, logits = (np.concatenate([batch[part] for batch in found]) for part in (0, 1))
    doubted = (top_two_margin(_QUICK) <= bound) & ~np.isin(np.arange(_COUNT), list(known))
    expected = np.where(doubted[:, None], _EXACT, _QUICK)
    expected[list(known)] = np.array([stored[position] for position in known], dtype=np.float32).reshape(-1, 3)
    np.testing.assert_array_equal(logits, expected[positions])
    assert sum(exact.sizes) == predictor.counts.rechecked == doubted.sum()
    assert [batch.counts.rechecked for batch in found] == [doubted[batch].sum() for batch in plan]
    assert predictor.counts.batches == len(plan)
    assert all(size * min(_LENGTHS) <= again or size == 1 for size in exact.sizes)


def test_few_of_many_batches_are_one_batch_in_float32() -> None:
    exact, plan = FakeBackend(), _plan(60)
    predictor = Predictor(classifier(exact, FakeBackend(error=_ERROR)), Lanes(2))
    recheck = Recheck(0.02, budget=1_000)
    list(predictor.run(_EXAMPLES, recheck.groups(plan), Predictor.quick_logits, recheck))
    groups = [np.concatenate(group) for group in recheck.groups(plan)]
    assert exact.sizes == [size for group in groups if (size := int((top_two_margin(_QUICK[group]) <= 0.02).sum()))]
    assert len(exact.sizes) < len(plan) / 4


@pytest.mark.parametrize("lanes", [1, 3])
def test_somebody_who_wants_it_to_end_is_heard_after_every_batch(lanes: int) -> None:
    steps = 0

    def on_step() -> None:
        nonlocal steps
        steps += 1
        if steps == 5:
            raise KeyboardInterrupt

    exact, quick = FakeBackend(), FakeBackend(error=_ERROR)
    predictor = Predictor(classifier(exact, quick), Lanes(lanes))
    recheck = Recheck(0.5, budget=60)
    made = predictor.run(_EXAMPLES, recheck.groups(_plan(60)), Predictor.quick_logits, recheck, on_step=on_step)
    with pytest.raises(KeyboardInterrupt):
        list(made)
    assert 5 <= len(quick.sizes) + len(exact.sizes) <= 5 + 2 * lanes


def test_a_group_that_needs_no_second_look_does_not_wait_for_another() -> None:
    predictor = Predictor(classifier(FakeBackend(), FakeBackend(error=_ERROR)))
    plan = _plan(60)
    recheck = Recheck(-1.0, budget=60)
    made = predictor.run(_EXAMPLES, recheck.groups(plan), Predictor.quick_logits, recheck)
    assert [next(made).positions.tolist() for _ in range(2)] == [batch.tolist() for batch in plan[:2]]
    assert predictor.classifier.backend.sizes == [len(batch) for batch in plan[:2]]  # type: ignore[attr-defined]
