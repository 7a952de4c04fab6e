"""The second look: examples whose margin is small in a lower dtype are run again in float32, several batches' together.

One batch leaves a few of them, and float32 is slow for few: an example of large took 442 ms among 80 tokens, 262 among
512 (one thread, docs/decisions/0041), and a GPU is not filled by fifty.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.runtime.batching import by_length

Logits = NDArray[np.float32]
Positions = NDArray[np.int64]

_FIRST: Final = 2
MOST_TOGETHER: Final = 8
_FULL: Final = 0.5
"""Of a batch's tokens: with all of them, float32 of base took 1 % less for each (docs/decisions/0041)."""


@dataclass(frozen=True, slots=True)
class Recheck:
    """Which examples are run again."""

    bound: float
    """Those with a margin up to it."""
    budget: int
    """In batches of so many tokens at the most."""
    together: int = MOST_TOGETHER
    """Those of so many batches."""

    @classmethod
    def for_share(cls, share: float, *, bound: float, budget: int) -> "Recheck":
        """For a share of doubtful examples: so many batches together as leave half a batch, and eight at the most."""
        enough = ceil(_FULL / share) if share > _FULL / MOST_TOGETHER else MOST_TOGETHER
        return cls(bound, budget, enough)

    def groups(self, batches: Sequence[Positions]) -> Iterator[Sequence[Positions]]:
        """Batches that are looked at again together: first two at the most, so that answers show soon.

        They follow from plan and trial, so that a resumed run that goes on with whole groups gives the same bits.
        """
        start, count = 0, min(_FIRST, self.together)
        while start < len(batches):
            yield batches[start : start + count]
            start, count = start + count, self.together

    def doubts(self, logits: Logits) -> NDArray[np.bool_]:
        """Which of the rows [n, C] are not to be trusted: bool [n]."""
        doubted: NDArray[np.bool_] = top_two_margin(logits) <= self.bound
        return doubted

    def batches(self, doubtful: Positions, lengths: NDArray[np.int64]) -> list[Positions]:
        """The doubtful positions as batches, by the `lengths` (tokens) of all examples."""
        return list(by_length(doubtful, lengths, self.budget))


NO_RECHECK: Final = Recheck(bound=-1.0, budget=1, together=1)
"""No margin is below zero, and no batch waits for another."""


def top_two_margin(logits: Logits) -> NDArray[np.float32]:
    """How far the best label is ahead of the second best: float32 [n]."""
    two = np.partition(logits, -2, axis=1)[:, -2:]
    margin: NDArray[np.float32] = two[:, 1] - two[:, 0]
    return margin
