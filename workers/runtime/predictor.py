"""Run a classifier over planned batches: logits in the data set's label order, whatever goes wrong on the way."""

from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch

from app.protocol.errors import DriverError
from workers.runtime.backend import Backend, TokenizedExample
from workers.runtime.classifier import Classifier
from workers.runtime.groups import Answered, Done, Group, PredictionCounts, Step, Steps
from workers.runtime.lanes import Lanes
from workers.runtime.memory import is_out_of_memory
from workers.runtime.recheck import NO_RECHECK, Logits, Positions, Recheck

Answer = Callable[["Predictor", Sequence[TokenizedExample]], Logits]
"""`Predictor.exact_logits` or `Predictor.quick_logits`."""


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
        groups: Iterable[Sequence[Positions]],
        answer: Answer,
        recheck: Recheck = NO_RECHECK,
        known: Mapping[int, Logits] | None = None,
        doubtful: Collection[int] = (),
        on_step: Callable[[], None] = lambda: None,
    ) -> Generator[Answered]:
        """Each batch, of positions in `examples`, in the order of the groups of batches; several are at work at once.

        What a re-check doubts in a group is run again together, and the group's batches come after that. `on_step` is
        called after each batch that was at work, whether an answer came of it or not.

        Those whose logits [C] are `known` by position are not asked about; the `doubtful` ones among them had been run
        again for that.
        """
        lengths = np.array([len(example) for example in examples], dtype=np.int64)
        known = known or {}

        def taken(step: Step) -> Done:
            one, positions = self.alone(), step.positions
            if step.again:
                return Done(step, one.exact_logits([examples[position] for position in positions]), one.counts)
            one.counts.batches += 1
            one.counts.rechecked += sum(position in doubtful for position in positions.tolist())
            found = [known.get(position) for position in positions.tolist()]
            asked = positions[[logits is None for logits in found]]
            if not len(asked):
                return Done(step, _put(found, ()), one.counts)
            logits = answer(one, [examples[position] for position in asked])
            whole = logits if len(asked) == len(positions) else _put(found, logits)
            return Done(step, whole, one.counts, asked[recheck.doubts(logits)])

        waiting = deque(Group(batches, partial(recheck.batches, lengths=lengths)) for batches in groups)
        plan = Steps(tuple(waiting), self.lanes.ahead)
        for steps in (plan.first(), plan.last()):
            with closing(self.lanes.each(taken, steps)) as made:
                for one in made:
                    one.step.group.take(one)
                    while waiting and waiting[0].settled:
                        for batch in waiting.popleft().answers():
                            self.counts.add(batch.counts)
                            yield batch
                    on_step()

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


def _put(found: Sequence[Logits | None], others: Iterable[Logits]) -> Logits:
    """The known logits, and those of the others in the gaps between them."""
    rest = iter(others)
    return np.stack([next(rest) if one is None else one for one in found])
