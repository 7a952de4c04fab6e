"""The summary of a confusion matrix against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, precision_score, recall_score

from app.statistics.classification import summarise
from app.statistics.counts import ImpossibleCountsError


def test_the_summary_is_scikit_learns() -> None:
    matrix = np.array([[30, 5, 2], [4, 40, 9], [1, 0, 20]])
    gold, predicted = (np.repeat(side.ravel(), matrix.ravel()) for side in np.indices((3, 3)))
    found = summarise(matrix)
    assert (found.n, found.correct) == (111, 90)
    assert found.accuracy == pytest.approx(accuracy_score(gold, predicted))
    assert found.balanced_accuracy == pytest.approx(balanced_accuracy_score(gold, predicted))
    assert found.recall == pytest.approx(recall_score(gold, predicted, average=None))
    assert found.precision == pytest.approx(precision_score(gold, predicted, average=None))


def test_a_label_that_never_occurs_has_no_recall() -> None:
    found = summarise([[3, 1, 0], [0, 0, 0], [1, 0, 2]])
    assert found.recall == (0.75, None, 2 / 3)
    assert found.precision == (0.75, 0.0, 1.0)
    assert found.balanced_accuracy == pytest.approx((0.75 + 2 / 3) / 2)
    assert summarise([[3, 0], [1, 0]]).precision == (0.75, None)


def test_impossible_matrices_are_refused() -> None:
    with pytest.raises(ImpossibleCountsError):
        summarise([[1, 2]])
