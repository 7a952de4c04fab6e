"""What an evaluation yields: batches of predictions, and the facts of the run."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Stage = Literal["loading_data", "loading_model", "inference"]
OnStage = Callable[[str], None]
OnStep = Callable[[], None]
"""Called for each batch, whether it gives predictions yet or not; what it raises ends the run."""


@dataclass(frozen=True, slots=True)
class PredictionBatch:
    """Some examples of the slice with their answers; labels are indices into the data set's label names.

    `rows` are row numbers in the split, int64 [n]; `gold` and `predicted` int16 [n]; `logits` float32 [n, C], or None
    where released predictions came without.
    """

    rows: NDArray[np.int64]
    item_ids: Sequence[str]
    gold: NDArray[np.int16]
    predicted: NDArray[np.int16]
    logits: NDArray[np.float32] | None
    counts: Mapping[str, int] = field(default_factory=dict)
    """What inference did for them."""

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class Answers:
    """What a source says about some positions of the slice (int64 [n]): classes, int16 [n], and maybe logits [n, C].

    `planned` are all positions of the batch, also those that were not wanted.
    """

    positions: NDArray[np.int64]
    predicted: NDArray[np.int16]
    logits: NDArray[np.float32] | None
    planned: NDArray[np.int64]
    counts: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.positions)


class PredictionSource(Protocol):
    """Where the answers come from: a model, or predictions that the authors released."""

    def answers(self, wanted: NDArray[np.bool_]) -> Iterator[Answers]:
        """The answers for the wanted positions of the slice (bool [n]), each exactly once.

        Every planned batch comes, in the order of the plan; one of which nothing is wanted is empty, and costs nothing.
        """
        ...

    def model_facts(self) -> dict[str, Any]:
        """Which files gave the answers."""
        ...

    def inference_facts(self) -> dict[str, Any]:
        """How the answers were made; complete once `answers` is exhausted."""
        ...


@dataclass(frozen=True, slots=True)
class RunFacts:
    """Everything a reader needs to check a run or to repeat it, apart from the predictions themselves."""

    driver: Mapping[str, str]
    model: Mapping[str, Any]
    data: Mapping[str, Any]
    slice: Mapping[str, Any]
    inference: Mapping[str, Any]
    environment: Mapping[str, Any]
    seconds: Mapping[str, float]
    examples_per_second: float | None
    stopping: Mapping[str, Any] | None = None
    """How the run may have stopped early; None where it measures its whole slice."""

    def as_dict(self) -> dict[str, Any]:
        """The facts as plain JSON values."""
        return asdict(self)
