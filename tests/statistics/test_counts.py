"""Counts that cannot be are refused."""

import numpy as np
import pytest

from app.statistics.counts import LARGEST_COUNT, ImpossibleCountsError, Stratum, check_confusion, check_counts


@pytest.mark.parametrize(
    ("correct", "n", "total"),
    [
        (3, 2, None),
        (3, 3, 2),
        (-1, 2, None),
        (0, 0, None),
        (0, -1, None),
        (float("nan"), 2, None),
        (1, float("nan"), None),
        (1, 2, float("nan")),
        (1.0, 2, None),
        (1.5, 2, None),
        (True, 2, None),
        ("1", 2, None),
        (None, 2, None),
        (1, LARGEST_COUNT + 1, None),
        (1, 2, float("inf")),
    ],
)
def test_impossible_counts_are_refused(correct: object, n: object, total: object) -> None:
    with pytest.raises(ImpossibleCountsError):
        check_counts(correct, n, total)
    with pytest.raises(ImpossibleCountsError):
        Stratum(n, correct, total)  # type: ignore[arg-type]  # what callers without types may pass


def test_possible_counts_come_back_as_plain_ints() -> None:
    found = check_counts(np.int64(1), np.int32(2), np.uint8(3))
    assert found == (1, 2, 3)
    assert {type(one) for one in found} == {int}
    assert check_counts(0, 1) == (0, 1, None)
    assert type(Stratum(np.int64(2), 1).n) is int  # type: ignore[arg-type]  # what numpy users pass


@pytest.mark.parametrize(
    "matrix",
    [
        [[1, 2, 3], [1, 2, 3]],
        [1, 2],
        [[5]],
        [[0, 0], [0, 0]],
        [[1, -1], [0, 2]],
        [[1.0, 0.0], [0.0, 1.0]],
        [[float("nan"), 0], [0, 1]],
        [["a", "b"], ["c", "d"]],
    ],
)
def test_impossible_confusion_matrices_are_refused(matrix: list[list[int]]) -> None:
    with pytest.raises(ImpossibleCountsError):
        check_confusion(matrix)


def test_a_confusion_matrix_comes_back_as_int64() -> None:
    matrix = check_confusion(np.array([[3, 1], [0, 4]], dtype=np.uint8))
    assert matrix.dtype == np.int64
    assert matrix.tolist() == [[3, 1], [0, 4]]
