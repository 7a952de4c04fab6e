import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.runtime.batching import (
    default_budget,
    padding_share,
    plan_batches,
    plan_in_order,
    with_short_start,
)

pytestmark = pytest.mark.worker

_LENGTHS = st.lists(st.integers(1, 200), max_size=400)


@given(_LENGTHS, st.integers(64, 2048), st.integers(0, 9))
def test_every_position_is_in_one_batch_and_every_batch_in_the_budget(
    lengths: list[int], budget: int, seed: int
) -> None:
    batches = plan_batches(lengths, budget=budget, seed=seed)
    assert sorted(np.concatenate(batches).tolist() if batches else []) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[position] for position in batch) <= budget


@given(_LENGTHS, st.integers(64, 2048), st.integers(0, 9))
def test_the_same_again(lengths: list[int], budget: int, seed: int) -> None:
    first, second = (plan_batches(lengths, budget=budget, seed=seed) for _ in range(2))
    assert [batch.tolist() for batch in first] == [batch.tolist() for batch in second]


def test_lengths_like_mnli_leave_little_padding_and_no_drift() -> None:
    generator = np.random.default_rng(3)
    lengths = np.clip(generator.lognormal(3.57, 0.45, 9815), 8, 128).astype(int).tolist()
    batches = plan_batches(lengths, budget=1024, seed=0)
    assert padding_share(lengths, batches) < 0.05
    seen = np.concatenate(batches)
    for count in range(1000, len(lengths), 500):
        assert np.mean([lengths[position] for position in seen[:count]]) == pytest.approx(np.mean(lengths), rel=0.06)


def test_nothing_to_do() -> None:
    assert sum(len(batch) for batch in plan_batches([], budget=64, seed=0)) == 0
    assert padding_share([], []) == 0.0


def test_large_models_get_small_batches_on_a_cpu() -> None:
    sizes = {"minilm": 10_750_000, "xsmall": 21_500_000, "base": 86_000_000, "large": 304_000_000}
    budgets = {name: default_budget("cpu", size) for name, size in sizes.items()}
    assert budgets == {"minilm": 2048, "xsmall": 1024, "base": 512, "large": 512}
    assert default_budget("cpu", 0) == 4096
    assert default_budget("cuda", 304_000_000) == 65_536


@given(st.lists(st.integers(1, 200), min_size=1, max_size=400), st.integers(64, 2048), st.booleans())
def test_batches_in_order_are_pieces_of_the_order(lengths: list[int], budget: int, padded: bool) -> None:  # noqa: FBT001
    order = np.random.default_rng(len(lengths)).permutation(len(lengths))
    batches = plan_in_order(lengths, order, budget=budget, padded=padded)
    np.testing.assert_array_equal(np.concatenate(batches), order)
    for batch, following in zip(batches, [*batches[1:], None], strict=True):
        sizes = [lengths[position] for position in batch]
        assert len(batch) == 1 or (len(sizes) * max(sizes) if padded else sum(sizes)) <= budget
        if following is not None:  # none is cut short
            more = [*sizes, lengths[following[0]]]
            assert (len(more) * max(more) if padded else sum(more)) > budget


def test_a_short_start_keeps_every_position_in_its_order() -> None:
    plan = [np.arange(9), np.arange(9, 12)]
    assert [part.tolist() for part in with_short_start(plan)] == [[0], [1], [2, 3, 4, 5, 6, 7, 8], [9, 10, 11]]
    assert [len(part) for part in with_short_start([np.arange(27)])] == [3, 3, 21]
    assert with_short_start([np.arange(3)])[0].tolist() == [0, 1, 2]
    assert with_short_start([]) == []
