"""Lower dtypes with float32's answers: examples whose margin is small are run again in float32.

Before anything is predicted, 512 examples spread over the slice calibrate the bound: twice the largest change of a
margin between the lower dtype and float32, and never below 0.05. Then 512 others audit it. Where one of them changed by
more than the bound, or its answer flipped outside it, or a value was not finite, the bound cannot be trusted, and the
whole run is computed in float32. Both samples follow from the slice and its batches alone, so a resumed run comes to
the same end. What float32 said of their examples is their answer: nothing is computed for them twice.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workers.runtime.backend import TokenizedExample
from workers.runtime.groups import PredictionCounts
from workers.runtime.predictor import Predictor
from workers.runtime.recent import Recent
from workers.runtime.recheck import Logits, Positions, Recheck, top_two_margin

CALIBRATION_EXAMPLES: Final = 512
AUDIT_EXAMPLES: Final = 512
LEAST_BOUND: Final = 0.05
_LEAST_BATCHES: Final = 16
"""Over so many the samples are spread at the least, where there are so many."""

Fallback = Literal["non_finite", "audit_change", "audit_flip", "not_audited"]


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far the lower dtype strayed, and the margin up to which it is not trusted."""

    examples: int
    largest_change: float
    """Of a difference of two logits of one example: no margin changed by more."""
    bound: float


@dataclass(frozen=True, slots=True)
class Audit:
    """What the lower dtype did to examples that had no part in the calibration."""

    examples: int
    largest_change: float
    """As in the calibration."""
    flips: int
    """Answers that are not float32's, before any example is run again."""
    flips_outside: int
    """Those of them that the bound would have let pass."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Whether the lower dtype may be used, and why not: `fallback` says what sends the whole run to float32."""

    calibration: Calibration | None
    audit: Audit | None
    fallback: Fallback | None
    exact: Mapping[int, NDArray[np.float32]] = field(default_factory=dict, repr=False)
    """The float32 logits [C] of the examples that were tried, by their position."""
    doubtful: frozenset[int] = frozenset()
    """Those of them whose margin was up to the bound in the lower dtype."""

    def recheck(self, budget: int) -> Recheck | None:
        """What is run again, in batches of up to `budget` tokens; None where the lower dtype may not be used."""
        if self.fallback is not None or self.calibration is None:
            return None
        share = len(self.doubtful) / len(self.exact)
        return Recheck.for_share(share, bound=self.calibration.bound, budget=budget)


trials: Final[Recent[Trial]] = Recent(64)
"""The last trials of this process: the same model on the same batches of the same examples comes to the same end."""


@dataclass(frozen=True, slots=True)
class _Pair:
    positions: Positions
    quick: Logits
    exact: Logits

    def changes(self) -> NDArray[np.float32]:
        """The largest change of a difference of two logits, example by example: float32 [n]."""
        moved = self.quick - self.exact
        spread: NDArray[np.float32] = moved.max(axis=1) - moved.min(axis=1)
        return spread

    def only(self, which: NDArray[np.bool_]) -> "_Pair":
        """Some of the examples, bool [n]."""
        return _Pair(self.positions[which], self.quick[which], self.exact[which])

    def answers(self) -> dict[int, NDArray[np.float32]]:
        """The float32 logits by position."""
        return dict(zip(self.positions.tolist(), self.exact, strict=True))

    def doubtful(self, bound: float) -> frozenset[int]:
        """The positions where the lower dtype left a margin of up to the bound."""
        return frozenset(self.positions[top_two_margin(self.quick) <= bound].tolist())

    def flips(self) -> NDArray[np.bool_]:
        """Where the answers differ: bool [n]."""
        flipped: NDArray[np.bool_] = self.quick.argmax(axis=1) != self.exact.argmax(axis=1)
        return flipped


def try_dtype(
    predictor: Predictor,
    examples: Sequence[TokenizedExample],
    batches: Sequence[Positions],
    on_step: Callable[[], None] = lambda: None,
) -> Trial:
    """Calibrate and audit on the samples of the batches.

    `on_step` is called before each batch: it may take minutes, in which somebody may want the run to end.
    """
    samples = list(samples_of(batches))
    pair = _both(predictor, examples, [sample.positions for sample in samples], on_step)
    if pair is None:
        return Trial(None, None, "non_finite")
    calibrating = np.concatenate([sample.calibrating for sample in samples])
    first, others = pair.only(calibrating), pair.only(~calibrating)
    largest = float(first.changes().max())
    calibration = Calibration(len(first.quick), largest, max(2 * largest, LEAST_BOUND))
    if not len(others.quick):
        return Trial(calibration, None, "not_audited", first.answers())
    audit = _audited(others, calibration.bound)
    return Trial(
        calibration, audit, _refusal(audit, calibration.bound), pair.answers(), pair.doubtful(calibration.bound)
    )


class Sample(NamedTuple):
    """What is tried of one batch."""

    positions: Positions
    calibrating: NDArray[np.bool_]
    """Which of them calibrate, bool [n]; the others audit."""


def samples_of(batches: Sequence[Positions]) -> Iterator[Sample]:
    """Examples spread over the whole slice: every other one calibrates, and those between them audit."""
    wanted = CALIBRATION_EXAMPLES + AUDIT_EXAMPLES
    total = sum(map(len, batches))
    # Whole batches where there are many; of few and large ones a part of each.
    chosen = batches[:: max(1, min(total // wanted, len(batches) // _LEAST_BATCHES))]
    ends = np.cumsum([len(batch) for batch in chosen])
    among = np.concatenate(chosen)
    places = np.unique(np.linspace(0, len(among) - 1, min(wanted, len(among))).round().astype(np.int64))
    calibrating = np.arange(len(places)) % 2 == 0
    cuts = np.searchsorted(places, ends[:-1])
    for positions, which in zip(np.split(among[places], cuts), np.split(calibrating, cuts), strict=True):
        if len(positions):
            yield Sample(positions, which)


def _both(
    predictor: Predictor,
    examples: Sequence[TokenizedExample],
    parts: Sequence[Positions],
    on_step: Callable[[], None],
) -> _Pair | None:
    """The logits in both dtypes; None where the lower one gave a value that is not finite."""

    def tried(positions: Positions) -> tuple[Logits, Logits, PredictionCounts] | None:
        one, batch = predictor.alone(), [examples[position] for position in positions]
        found = one.lower_logits(batch)
        return None if found is None else (found, one.exact_logits(batch), one.counts)

    quick, exact = [], []
    with closing(predictor.lanes.each(tried, parts)) as results:
        for _ in parts:
            on_step()
            found = next(results)
            if found is None:
                return None
            quick.append(found[0])
            exact.append(found[1])
            predictor.counts.add(found[2])
    return _Pair(np.concatenate(parts), np.concatenate(quick), np.concatenate(exact))


def _audited(pair: _Pair, bound: float) -> Audit:
    flips = pair.flips()
    outside = flips & (top_two_margin(pair.quick) > bound)
    return Audit(len(flips), float(pair.changes().max()), int(flips.sum()), int(outside.sum()))


def _refusal(audit: Audit, bound: float) -> Fallback | None:
    if audit.flips_outside:
        return "audit_flip"
    return "audit_change" if audit.largest_change > bound else None
