"""What a run's predictions come to: how many there are, how many are right, and what its metric is so far."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from app.protocol.driver import DriverSpec
from app.reproductions.estimate import estimate_of
from app.reproductions.lease import Stored
from app.reproductions.schemas import RunningEstimate
from workers.evaluation.types import PredictionBatch


@dataclass(frozen=True, slots=True)
class Tally:
    """The predictions so far as a confusion matrix, gold labels by row, int64 [L, L], and what inference did for them.

    The estimate is made when the predictions change: a heartbeat without news repeats it.
    """

    spec: DriverSpec
    confusion: NDArray[np.int64]
    counts: Mapping[str, int]
    estimate: RunningEstimate | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "estimate", estimate_of(self.spec, self.confusion))

    @classmethod
    def of(cls, spec: DriverSpec, stored: Stored) -> Self:
        """What earlier attempts left."""
        labels = len(spec.data.labels)
        confusion = np.zeros((labels, labels), dtype=np.int64)
        for (gold, predicted), number in stored.pairs.items():
            confusion[gold, predicted] = number
        return cls(spec, confusion, stored.counts)

    def grown(self, batches: Sequence[PredictionBatch]) -> "Tally":
        """With these batches, too."""
        if not batches:
            return self
        confusion, counts = self.confusion.copy(), Counter(self.counts)
        for batch in batches:
            np.add.at(confusion, (batch.gold, batch.predicted), 1)
            counts.update(batch.counts)
        return Tally(self.spec, confusion, dict(counts))

    @property
    def done(self) -> int:
        """How many there are."""
        return int(self.confusion.sum())

    @property
    def correct(self) -> int:
        """How many of them are right."""
        return int(np.trace(self.confusion))
