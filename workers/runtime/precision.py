"""Lower dtypes with float32's answers: examples whose margin is small are run again in float32.

The bound is calibrated in each run, on examples of that run that are predicted in both dtypes: twice the largest change
of a logit (a margin is a difference of two logits, so it changes by at most that), and never below 0.05.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.runtime.backend import TokenizedExample
from workers.runtime.predictor import Logits, Predictor

CALIBRATION_EXAMPLES: Final = 512
LEAST_BOUND: Final = 0.05


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far the lower dtype strayed, and the margin below which it is not trusted."""

    examples: int
    largest_change: float
    bound: float


def calibrate(
    predictor: Predictor, examples: Sequence[TokenizedExample], batches: Sequence[NDArray[np.int64]]
) -> Calibration:
    """Run batches spread over the whole slice, up to 512 examples, in both dtypes."""
    largest, seen = 0.0, 0
    total = sum(len(positions) for positions in batches)
    for positions in batches[:: max(1, total // CALIBRATION_EXAMPLES)]:
        batch = [examples[position] for position in positions[: CALIBRATION_EXAMPLES - seen]]
        if not batch:
            break
        change = np.abs(predictor.quick_logits(batch) - predictor.exact_logits(batch))
        largest, seen = max(largest, float(change.max())), seen + len(batch)
    return Calibration(seen, largest, max(2 * largest, LEAST_BOUND))


def top_two_margin(logits: Logits) -> NDArray[np.float32]:
    """How far the best label is ahead of the second best: float32 [n]."""
    two = np.partition(logits, -2, axis=1)[:, -2:]
    margin: NDArray[np.float32] = two[:, 1] - two[:, 0]
    return margin


@dataclass(frozen=True, slots=True)
class Recheck:
    """Replaces the logits of every example with a margin below the bound by float32's."""

    predictor: Predictor
    calibration: Calibration

    def __call__(self, batch: Sequence[TokenizedExample], logits: Logits) -> Logits:
        """The logits [B, C] with the doubtful rows made exact."""
        doubtful = np.flatnonzero(top_two_margin(logits) < self.calibration.bound).tolist()
        if not doubtful:
            return logits
        settled = logits.copy()
        settled[doubtful] = self.predictor.exact_logits([batch[row] for row in doubtful])
        self.predictor.counts.rechecked += len(doubtful)
        return settled
