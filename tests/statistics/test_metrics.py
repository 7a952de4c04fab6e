"""The metrics against scikit-learn, item by item."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from app.statistics.metrics import MetricName, label_f1, metric_of

Items = tuple[NDArray[np.int64], NDArray[np.int64]]


def items_of(confusion: NDArray[np.int64]) -> Items:
    gold, predicted = np.nonzero(confusion)
    counts = confusion[gold, predicted]
    return np.repeat(gold, counts), np.repeat(predicted, counts)


@st.composite
def confusions(draw: st.DrawFn, most: int = 6) -> NDArray[np.int64]:
    count = draw(st.integers(2, most))
    cells = st.one_of(st.just(0), st.integers(0, 40))
    matrix = draw(arrays(np.int64, (count, count), elements=cells))
    if not matrix.any():
        matrix[0, -1] = 1
    return matrix


@pytest.mark.filterwarnings("ignore:A single label was found")
@given(confusions())
@settings(deadline=None, derandomize=True, max_examples=70)
def test_every_metric_is_scikit_learns(confusion: NDArray[np.int64]) -> None:
    gold, predicted = items_of(confusion)
    expected = {
        MetricName.accuracy: accuracy_score(gold, predicted),
        MetricName.f1_macro: f1_score(gold, predicted, average="macro", zero_division=0),
        MetricName.f1_micro: f1_score(gold, predicted, average="micro", zero_division=0),
        MetricName.f1_weighted: f1_score(gold, predicted, average="weighted", zero_division=0),
        MetricName.mcc: matthews_corrcoef(gold, predicted),
    }
    for name, value in expected.items():
        assert metric_of(name)(confusion) == pytest.approx(value, abs=1e-12), name
    each = f1_score(gold, predicted, average=None, labels=range(len(confusion)), zero_division=0)
    np.testing.assert_allclose(label_f1(confusion), each, rtol=0, atol=1e-12)


@given(confusions(2), st.integers(0, 1))
@settings(deadline=None, derandomize=True, max_examples=40)
def test_binary_f1_is_scikit_learns(confusion: NDArray[np.int64], positive: int) -> None:
    gold, predicted = items_of(confusion)
    expected = f1_score(gold, predicted, pos_label=positive, labels=[0, 1], average="binary", zero_division=0)
    assert metric_of(MetricName.f1, positive)(confusion) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", list(MetricName))
def test_many_matrices_at_once_are_each_their_own(name: MetricName) -> None:
    generator = np.random.default_rng(5)
    many = generator.integers(0, 9, (4, 5, 3, 3))
    many[0, 0] = np.diag([7, 0, 0])
    metric = metric_of(name, 1 if name is MetricName.f1 else None)
    found = metric(many)
    assert found.shape == (4, 5)
    for place in np.ndindex(4, 5):
        assert found[place] == pytest.approx(float(metric(many[place])), abs=1e-15)
        assert found[place] == pytest.approx(float(metric(many[place] / 7.0)), abs=1e-12)  # weights, not counts


def test_matthews_stays_exact_for_large_counts() -> None:
    small = np.array([[90, 10, 3], [5, 80, 11], [7, 2, 60]])
    metric = metric_of(MetricName.mcc)
    assert metric(small * 3_000_000) == pytest.approx(float(metric(small)), abs=1e-13)
    assert metric(np.array([[0, 5], [7, 0]])) == -1.0
    assert metric(np.array([[5, 0], [7, 0]])) == 0.0


def test_a_positive_label_is_for_f1_alone() -> None:
    for name, positive in [(MetricName.f1, None), (MetricName.mcc, 1), (MetricName.accuracy, 0)]:
        with pytest.raises(ValueError, match="positive"):
            metric_of(name, positive)
