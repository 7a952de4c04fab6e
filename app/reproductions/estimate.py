"""What a run that is under way says of its metric so far."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app.protocol.driver import DriverSpec
from app.reproductions.schemas import RunningEstimate
from app.statistics.binomial import binomial_interval
from app.statistics.bootstrap import metric_posterior
from app.statistics.metrics import MetricName, metric_of
from app.statistics.sequential import SEQUENCE_ALPHA, ConfidenceSequence

LEVEL: Final = 0.95
_MOST_DRAWS: Final = 2_000
_LEAST_DRAWS: Final = 200
_CELLS: Final = 400_000
"""Of all draws of one report: a millisecond for a few labels, some tens of them for as many as there may be."""


def running_estimate(
    correct: int, done: int, spec: Mapping[str, Any], reported: Mapping[str, Any] | None = None
) -> RunningEstimate | None:
    """The driver's metric so far with its 95 % interval; None before the first example, or before a report of it.

    Accuracy follows from the counts. A run that may stop early shows its confidence sequence, which bears being looked
    at: never a Wilson interval. Any other metric is what the worker reported last.
    """
    if done == 0:
        return None
    if spec.get("metric", MetricName.accuracy) != MetricName.accuracy:
        return RunningEstimate.model_validate(reported) if reported else None
    if spec["decision"].get("early_stopping"):
        interval = ConfidenceSequence(spec["data"]["size"], SEQUENCE_ALPHA, done, correct).interval
    else:
        interval = binomial_interval(correct, done, LEVEL)
    return RunningEstimate(
        metric=MetricName.accuracy,
        value=correct / done,
        interval_95=(interval.low, interval.high),
        method=interval.method,
    )


def estimate_of(spec: DriverSpec, confusion: NDArray[np.int64]) -> RunningEstimate | None:
    """The estimate that a worker reports, from the confusion matrix so far; None for accuracy, and of nothing.

    The Bayesian bootstrap with the driver's seed and few draws: the verdict makes its own.
    """
    if spec.metric is MetricName.accuracy or not confusion.any():
        return None
    draws = min(_MOST_DRAWS, max(_LEAST_DRAWS, _CELLS // confusion.size))
    metric = metric_of(spec.metric, spec.positive_index)
    posterior = metric_posterior(confusion, metric, population=None, seed=spec.decision.bootstrap_seed, draws=draws)
    interval = posterior.interval(LEVEL)
    return RunningEstimate(
        metric=spec.metric,
        value=posterior.estimate,
        interval_95=(interval.low, interval.high),
        method=interval.method,
    )
