"""Batches that are answered in two steps: each by itself, and then what is doubtful in several of them together."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

import numpy as np

from workers.runtime.recheck import Logits, Positions


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

    positions: Positions
    logits: Logits
    counts: PredictionCounts


class Step(NamedTuple):
    """Something to be done for a group."""

    group: "Group"
    positions: Positions
    again: bool = False
    """In float32, because the answers were doubtful."""


class Done(NamedTuple):
    """What came of a step."""

    step: Step
    logits: Logits
    counts: PredictionCounts
    doubtful: Positions = np.empty(0, np.int64)
    """Those of its positions that have to be run again."""


@dataclass(slots=True)
class Group:
    """Batches whose doubtful examples are run again together."""

    batches: Sequence[Positions]
    cut: Callable[[Positions], Sequence[Positions]]
    """The doubtful positions as batches."""
    again: Sequence[Positions] = ()
    """Those, once all batches were at work."""
    _first: list[Done] = field(default_factory=list)
    _exact: dict[int, Logits] = field(default_factory=dict)

    def take(self, done: Done) -> None:
        """Keep what came of a step of this group; those of its batches come in their order."""
        if done.step.again:
            self._exact.update(zip(done.step.positions.tolist(), done.logits, strict=True))
            self._first[0].counts.add(done.counts)
            return
        done.counts.rechecked += len(done.doubtful)
        self._first.append(done)
        if len(self._first) == len(self.batches):
            self.again = self.cut(np.concatenate([one.doubtful for one in self._first]))

    @property
    def settled(self) -> bool:
        """Whether nothing is left to be done."""
        return len(self._first) == len(self.batches) and len(self._exact) == sum(map(len, self.again))

    def answers(self) -> Iterator[Answered]:
        """Its batches, in their order."""
        for one in self._first:
            logits = one.logits
            if len(one.doubtful):
                exact = [self._exact.get(position) for position in one.step.positions.tolist()]
                logits = np.stack([logits[row] if found is None else found for row, found in enumerate(exact)])
            yield Answered(one.step.positions, logits, one.counts)


@dataclass(slots=True)
class Steps:
    """What is done in which order: group after group, and what is run again of one among the batches of the next.

    So no lane waits for a group to be complete. What a group leaves is known once `ahead` more steps have begun.
    """

    groups: Sequence[Group]
    ahead: int
    _left: deque[tuple[int, Group]] = field(default_factory=deque)

    def first(self) -> Iterator[Step]:
        """All but what is known only when these are done."""
        begun = 0
        for group in self.groups:
            for batch in group.batches:
                while self._left and self._left[0][0] <= begun:
                    for step in _again(self._left.popleft()[1]):
                        yield step
                        begun += 1
                yield Step(group, batch)
                begun += 1
            self._left.append((begun + self.ahead, group))

    def last(self) -> Iterator[Step]:
        """The rest."""
        while self._left:
            yield from _again(self._left.popleft()[1])


def _again(group: Group) -> Iterator[Step]:
    return (Step(group, positions, again=True) for positions in group.again)
