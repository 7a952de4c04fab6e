"""Which confusion matrices are a bad label map, and which are a bad or an honest model."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.statistics.label_map import LabelMapSuspectError, examine_label_map, refuse_suspect_labels

# MNLI's label counts; 650 of 9815 on the diagonal, 8313 one label further on.
MNLI_ROTATED = np.array([[240, 2933, 306], [286, 200, 2637], [2743, 260, 210]])


def test_the_known_answer() -> None:
    assert MNLI_ROTATED.sum(axis=1).tolist() == [3479, 3123, 3213]
    assert np.trace(MNLI_ROTATED) == 650
    found = examine_label_map(MNLI_ROTATED)
    assert found.suspect
    assert found.identity_accuracy == 650 / 9815
    assert found.best_accuracy == 8313 / 9815
    assert found.best_map == (2, 0, 1)
    with pytest.raises(LabelMapSuspectError, match=r"\[2, 0, 1\]") as caught:
        refuse_suspect_labels(MNLI_ROTATED)
    assert caught.value.code == "label_map_suspect"
    assert caught.value.finding == found


def test_the_best_map_mends_the_score() -> None:
    mended = np.zeros_like(MNLI_ROTATED)
    for predicted, gold in enumerate(examine_label_map(MNLI_ROTATED).best_map):
        mended[:, gold] += MNLI_ROTATED[:, predicted]
    assert np.trace(mended) == 8313
    assert not examine_label_map(mended).suspect


@pytest.mark.parametrize(
    ("matrix", "why"),
    [
        ([[3200, 150, 129], [200, 2700, 223], [100, 180, 2933]], "a good model"),
        ([[1200, 1150, 1129], [1041, 1050, 1032], [1080, 1061, 1072]], "a guesser"),
        ([[0, 3479, 0], [0, 3123, 0], [0, 3213, 0]], "a model that says one thing"),
        ([[450, 550], [550, 450]], "a bad model on two labels"),
        ([[100, 170, 63], [150, 95, 88], [90, 143, 101]], "a data set built against the model"),
        ([[0, 2], [2, 0]], "four items, once in 16 by luck"),
        ([[850, 50], [90, 10]], "one rare label, missed"),
        ([[500, 500, 0], [0, 400, 600], [500, 0, 500]], "above chance, whatever another map would score"),
        ([[0, 0], [3, 7]], "one gold label only"),
    ],
)
def test_honest_matrices_are_not_suspect(matrix: list[list[int]], why: str) -> None:
    assert not examine_label_map(matrix).suspect, why
    refuse_suspect_labels(matrix)


@pytest.mark.parametrize(
    "matrix",
    [
        [[50, 950], [950, 50]],
        [[0, 12], [12, 0]],
        [[900, 50, 50], [30, 30, 940], [30, 930, 40]],
        np.roll(np.eye(20, dtype=int) * 50, 1, axis=1),
    ],
)
def test_swapped_labels_are_suspect(matrix: NDArray[np.int64]) -> None:
    # The third, two of three labels swapped, is just below the most frequent label's share: that is chance.
    assert examine_label_map(matrix).suspect


def test_a_thousand_labels_of_one_item_each_are_luck_to_fit() -> None:
    generator = np.random.default_rng(1955)
    matrix = np.zeros((300, 300), dtype=np.int64)
    np.add.at(matrix, (np.arange(300), generator.integers(0, 300, 300)), 1)
    found = examine_label_map(matrix)
    assert found.best_accuracy > 0.5
    assert not found.suspect


matrices = st.integers(2, 5).flatmap(
    lambda size: st.lists(st.lists(st.integers(0, 60), min_size=size, max_size=size), min_size=size, max_size=size)
)


@given(matrices.filter(lambda rows: sum(map(sum, rows)) > 0))
@settings(deadline=None, derandomize=True)
def test_the_best_map_is_the_best_of_all(rows: list[list[int]]) -> None:
    matrix = np.array(rows)
    found = examine_label_map(matrix)
    best = max(sum(matrix[p[i], i] for i in range(len(rows))) for p in permutations(range(len(rows))))
    assert found.best_accuracy == best / matrix.sum()
    assert sum(matrix[gold, i] for i, gold in enumerate(found.best_map)) == best


@given(matrices.filter(lambda rows: sum(map(sum, rows)) > 0), st.randoms(use_true_random=False))
@settings(deadline=None, derandomize=True)
def test_renaming_the_labels_changes_nothing(rows: list[list[int]], random: object) -> None:
    matrix = np.array(rows)
    order = list(range(len(rows)))
    random.shuffle(order)  # type: ignore[attr-defined]  # random.Random, which Hypothesis subclasses
    here, there = examine_label_map(matrix), examine_label_map(matrix[np.ix_(order, order)])
    assert (here.suspect, here.identity_accuracy, here.best_accuracy, here.chance) == (
        there.suspect,
        there.identity_accuracy,
        there.best_accuracy,
        there.chance,
    )
