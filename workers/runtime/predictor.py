"""Run a classifier over planned batches: logits in the data set's label order, whatever goes wrong on the way."""

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from app.protocol.errors import DriverError
from workers.runtime.backend import Backend, TokenizedExample
from workers.runtime.classifier import Classifier
from workers.runtime.lanes import Lanes
from workers.runtime.memory import is_out_of_memory

Logits = NDArray[np.float32]
Answer = Callable[["Predictor", Sequence[TokenizedExample]], Logits]
"""`Predictor.exact_logits`, `Predictor.quick_logits`, or a re-check."""


@dataclass(slots=True)
class PredictionCounts:
    """What happened while predicting."""

    batches: int = 0
    halvings: int = 0
    """How often a batch did not fit in memory and was cut in two."""
    non_finite: int = 0
    """Batches with a non-finite value in the lower dtype, run again in float32."""
    rechecked: int = 0
    """Examples whose margin was small in the lower dtype, run again in float32."""

    def add(self, others: "PredictionCounts") -> None:
        """Count what others counted, too."""
        for name, number in asdict(others).items():
            setattr(self, name, getattr(self, name) + number)


class Answered(NamedTuple):
    """One batch: positions int64 [B], logits float32 [B, C] in the data set's label order, and what it took."""

    positions: NDArray[np.int64]
    logits: Logits
    counts: PredictionCounts


@dataclass(slots=True)
class Predictor:
    """One classifier at work on one run's examples."""

    classifier: Classifier
    lanes: Lanes = field(default_factory=Lanes)
    counts: PredictionCounts = field(default_factory=PredictionCounts)

    def alone(self) -> "Predictor":
        """The same with counts of its own, for one batch among others."""
        return Predictor(self.classifier)

    def exact_logits(self, batch: Sequence[TokenizedExample]) -> Logits:
        """Float32 logits [B, C]. Raises DriverError `non_finite_logits`, `out_of_memory`."""
        logits = self._fitted(self.classifier.exact, batch)
        if not np.isfinite(logits).all():
            raise DriverError(
                code="non_finite_logits",
                message="The model gave a value that is not a number, in float32. Its weights are damaged.",
            )
        return logits[:, self.classifier.columns]

    def lower_logits(self, batch: Sequence[TokenizedExample]) -> Logits | None:
        """Logits [B, C] in the run's dtype, as they come; None where a value is not finite."""
        logits = self._fitted(self.classifier.backend, batch)
        return logits[:, self.classifier.columns] if np.isfinite(logits).all() else None

    def quick_logits(self, batch: Sequence[TokenizedExample]) -> Logits:
        """Logits [B, C] in the run's dtype; in float32 where that gave a value that is not finite."""
        if self.classifier.backend is self.classifier.exact:
            return self.exact_logits(batch)
        logits = self.lower_logits(batch)
        if logits is None:
            self.counts.non_finite += 1
            return self.exact_logits(batch)
        return logits

    def run(
        self,
        examples: Sequence[TokenizedExample],
        batches: Sequence[NDArray[np.int64]],
        answer: Answer,
        known: Mapping[int, Logits] | None = None,
        doubtful: Collection[int] = (),
    ) -> Generator[Answered]:
        """Each batch, of positions in `examples`, in the order of `batches`; several are at work at once.

        Those whose logits [C] are `known` by position are not asked about; the `doubtful` ones among them had been run
        again for that.
        """

        def answered(positions: NDArray[np.int64]) -> Answered:
            found = [None if known is None else known.get(position) for position in positions.tolist()]
            asked = positions[[one is None for one in found]]
            one = self.alone()
            logits = answer(one, [examples[position] for position in asked]) if len(asked) else None
            one.counts.batches += 1
            one.counts.rechecked += sum(position in doubtful for position in positions.tolist())
            whole = logits if logits is not None and len(asked) == len(positions) else _put(found, logits)
            return Answered(positions, whole, one.counts)

        with closing(self.lanes.each(answered, batches)) as made:
            for batch in made:
                self.counts.add(batch.counts)
                yield batch

    def _fitted(self, backend: Backend, batch: Sequence[TokenizedExample]) -> Logits:
        try:
            return backend.logits(batch)
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if len(batch) == 1:
                raise DriverError(
                    code="out_of_memory",
                    message="A single example does not fit in this worker's memory.",
                    retryable=True,
                ) from error
        # Outside the handler: the exception keeps the failed batch's tensors alive.
        self.counts.halvings += 1
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        half = len(batch) // 2
        return np.concatenate([self._fitted(backend, batch[:half]), self._fitted(backend, batch[half:])])


def _put(found: Sequence[Logits | None], others: Logits | None) -> Logits:
    """The known logits, and those of the others in the gaps between them."""
    rest = iter(() if others is None else others)
    return np.stack([next(rest) if one is None else one for one in found])
