"""Metrics of a confusion matrix, by scikit-learn's definitions: accuracy, F1, Matthews's correlation coefficient.

All take confusion matrices [..., L, L], gold labels by row and predicted ones by column, counts or weights of any
positive scale, and give float64 [...]. The tests hold them to scikit-learn, which the service does not need to run.
"""

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Metric = Callable[[ArrayLike], Floats]
MOST_LABELS: Final = 100
"""Of a metric that is decided by the bootstrap, whose draws each have a cell for every pair of labels."""


class MetricName(StrEnum):
    """How predictions become one number."""

    accuracy = "accuracy"
    f1 = "f1"
    """Of one named label, the positive one."""
    f1_macro = "f1_macro"
    f1_micro = "f1_micro"
    f1_weighted = "f1_weighted"
    mcc = "mcc"


def metric_of(name: MetricName, positive: int | None = None) -> Metric:
    """The metric as a function of the matrix; `positive` is the index of the positive label, for `f1` alone.

    Raises ValueError where the positive label is missing, or given to another metric.
    """
    if (name is MetricName.f1) != (positive is not None):
        msg = f"`f1` needs a positive label, and no other metric has one; this is {name} with {positive}"
        raise ValueError(msg)
    if positive is not None:
        return partial(binary_f1, positive=positive)
    return {
        MetricName.accuracy: accuracy,
        MetricName.f1_macro: macro_f1,
        # Every item has one label and one prediction: what is wrong is a false positive and a false negative at once.
        MetricName.f1_micro: accuracy,
        MetricName.f1_weighted: weighted_f1,
        MetricName.mcc: matthews,
    }[name]


def accuracy(confusion: ArrayLike) -> Floats:
    """The share of the diagonal."""
    matrix = np.asarray(confusion, dtype=np.float64)
    return _share(np.trace(matrix, axis1=-2, axis2=-1), matrix.sum(axis=(-2, -1)))


def label_f1(confusion: ArrayLike) -> Floats:
    """2 tp / (2 tp + fp + fn) of each label, [..., L]; 0 where the label neither occurs nor is predicted."""
    matrix = np.asarray(confusion, dtype=np.float64)
    right = np.diagonal(matrix, axis1=-2, axis2=-1)
    return _share(2 * right, matrix.sum(axis=-1) + matrix.sum(axis=-2))


def binary_f1(confusion: ArrayLike, positive: int) -> Floats:
    """The F1 of the positive label."""
    return np.asarray(label_f1(confusion)[..., positive])


def macro_f1(confusion: ArrayLike) -> Floats:
    """The mean F1 of the labels that occur or are predicted."""
    matrix = np.asarray(confusion, dtype=np.float64)
    present = matrix.sum(axis=-1) + matrix.sum(axis=-2) > 0
    return _share((label_f1(matrix) * present).sum(axis=-1), present.sum(axis=-1))


def weighted_f1(confusion: ArrayLike) -> Floats:
    """The mean of the labels' F1, each weighted by how often it occurs."""
    matrix = np.asarray(confusion, dtype=np.float64)
    gold = matrix.sum(axis=-1)
    return _share((label_f1(matrix) * gold).sum(axis=-1), gold.sum(axis=-1))


def matthews(confusion: ArrayLike) -> Floats:
    """Matthews's correlation coefficient for any number of labels, in [-1, 1]; 0 where one side has a single label.

    (c s - t.p) / sqrt((s^2 - p.p)(s^2 - t.t)) with s items, c right, t and p how often each label occurs and is
    predicted. Source: Gorodkin 2004, Comput. Biol. Chem. 28:367 (R_K).
    """
    matrix = np.asarray(confusion, dtype=np.float64)
    # In shares, so that the squares of large counts lose nothing.
    shares = matrix / np.maximum(matrix.sum(axis=(-2, -1), keepdims=True), np.finfo(np.float64).tiny)
    gold, predicted = shares.sum(axis=-1), shares.sum(axis=-2)
    right = np.trace(shares, axis1=-2, axis2=-1)
    both = right - (gold * predicted).sum(axis=-1)
    spread = np.sqrt(_rest(predicted) * _rest(gold))
    return np.clip(_share(both, spread), -1.0, 1.0)


def _rest(shares: Floats) -> Floats:
    """1 - sum of squares, as the sum of products of different labels: exactly 0 where a single label has everything."""
    return np.asarray((shares * (shares.sum(axis=-1, keepdims=True) - shares)).sum(axis=-1))


def _share(part: ArrayLike, whole: ArrayLike) -> Floats:
    top, below = np.broadcast_arrays(np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64))
    return np.asarray(np.divide(top, below, out=np.zeros(top.shape), where=below > 0))
