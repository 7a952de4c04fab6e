"""Early stopping: go through the slice in random order, and stop once the confidence sequence decides."""

from decimal import Decimal
from hashlib import sha256
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app.protocol.driver import DriverSpec
from app.statistics.equivalence import Position, Zone
from app.statistics.printed import ReportedValue
from app.statistics.sequential import SEQUENCE_ALPHA, ConfidenceSequence

_STREAM: Final = 1
"""Keeps the permutation independent of the draw of the slice and of the batches, whatever their seeds."""


def random_order(size: int, seed: int) -> NDArray[np.int64]:
    """A uniformly random permutation of a slice of `size` examples: int64 [size], the same for the same seed."""
    sequence = np.random.SeedSequence(seed, spawn_key=(_STREAM,))
    return np.random.Generator(np.random.PCG64(sequence)).permutation(size).astype(np.int64)


class EarlyStop:
    """Counts a run's answers in the order of its permutation, and says when they decide about the claim.

    A slice that was drawn at random and is gone through at random is a random prefix of the whole split, so the
    sequence's population is the split.
    """

    def __init__(self, spec: DriverSpec, order: NDArray[np.int64], population: int) -> None:
        claim = spec.claim
        reported = ReportedValue.from_printed(Decimal(claim.reported_value), claim.unit)
        self._zone = Zone.of_claim(reported, spec.decision.margin)
        self._state = ConfidenceSequence(population, SEQUENCE_ALPHA)
        self._seed = spec.inference.seed
        self._order = order
        self._looks = 0
        self.position = Position.undecided

    @property
    def examined(self) -> int:
        """How many answers were counted."""
        return self._state.n

    def decided(self, *, correct: int, n: int) -> bool:
        """Count `n` more answers, `correct` of them right, and say whether the run may stop here."""
        state = self._state
        self._state = state.update(correct=state.correct + correct, n=state.n + n)
        self._looks += 1
        self.position = self._state.position(self._zone)
        return self.position is not Position.undecided

    def facts(self) -> dict[str, Any]:
        """How the run stopped, as plain JSON values."""
        return {
            "rule": "prior-posterior-ratio confidence sequence, sampling without replacement",
            "alpha": SEQUENCE_ALPHA,
            "order_seed": self._seed,
            "order_sha256": sha256(self._order.astype("<i8").tobytes()).hexdigest(),
            "looks": self._looks,
            "planned": len(self._order),
            "examined": self.examined,
            "stopped_early": self.examined < len(self._order),
            "position": self.position.value,
        }
