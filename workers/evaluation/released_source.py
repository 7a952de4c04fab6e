"""Re-score the predictions that a paper's authors released: joined by id to the pinned gold labels. No model runs."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app.protocol.driver import ReleasedPredictions
from app.protocol.errors import DriverError
from workers.datasets.predictions import Predictions
from workers.evaluation.types import Answers
from workers.runtime.labels import label_columns

_AT_ONCE: Final = 1000  # what one heartbeat stores
_AT_A_LOOK: Final = 32


class ReleasedSource:
    """The authors' answers to the examples of a slice."""

    def __init__(
        self,
        spec: ReleasedPredictions,
        released: Predictions,
        item_ids: Sequence[str],
        label_names: Sequence[str],
        order: NDArray[np.int64] | None = None,
    ) -> None:
        """Join and check at once; answer in `order`, a permutation of the slice, where given. Raises DriverError.

        `predictions_incomplete` (an id of the slice is absent, or answered twice), `predictions_inconsistent` (the
        logits say another class), `predictions_labels_mismatch`, `label_names_unknown`.
        """
        columns = label_columns(spec.labels, label_names, {}, code_prefix="predictions")
        rows = _join(released.ids, item_ids)
        meaning = np.argsort(columns).astype(np.int16)
        self._predicted = meaning[released.predicted[rows]]
        self._logits = None if released.logits is None else released.logits[rows][:, columns]
        if self._logits is not None:
            _require_consistent(self._predicted, self._logits)
        # In small steps where the run may stop after any of them.
        self._step = _AT_ONCE if order is None else _AT_A_LOOK
        self._order = np.arange(len(item_ids), dtype=np.int64) if order is None else order
        self._spec = spec
        self._released = released
        self._answered = 0

    def answers(self, wanted: NDArray[np.bool_]) -> Iterator[Answers]:
        """The wanted answers, in the order of the slice or in the one that was given."""
        for start in range(0, len(self._order), self._step):
            planned = self._order[start : start + self._step]
            part = planned[wanted[planned]]
            self._answered += len(part)
            yield Answers(part, self._predicted[part], None if self._logits is None else self._logits[part], planned)

    def model_facts(self) -> dict[str, Any]:
        """The file that was re-scored."""
        return {
            "kind": self._spec.kind,
            "source": self._spec.source.model_dump(mode="json"),
            "file": self._spec.file,
            "file_sha256": self._released.file_sha256,
            "filters": dict(self._spec.filters),
            "labels": list(self._spec.labels),
            "model_was_run": False,
        }

    def inference_facts(self) -> dict[str, Any]:
        """That there was none."""
        return {"backend": "none", "answered": self._answered, "logits_checked": self._logits is not None}


def _join(answered: Sequence[str], needed: Sequence[str]) -> NDArray[np.int64]:
    places = {identity: row for row, identity in enumerate(answered)}
    absent = [identity for identity in needed if identity not in places]
    wanted = set(needed)
    twice = sum(identity in wanted for identity in answered) - (len(needed) - len(absent))
    if absent or twice:
        example = f", for example {absent[0]}" if absent else ""
        raise DriverError(
            code="predictions_incomplete",
            message=f"Every one of the {len(needed)} examples needs exactly one released prediction: "
            f"{len(absent)} have none{example}; {twice} predictions are surplus.",
        )
    return np.array([places[identity] for identity in needed], dtype=np.int64)


def _require_consistent(predicted: NDArray[np.int16], logits: NDArray[np.float32]) -> None:
    chosen = np.take_along_axis(logits, predicted[:, None].astype(np.int64), axis=1)[:, 0]
    # Written so that a NaN counts as a contradiction; where labels tie, either may have been predicted.
    contradicted = int(np.count_nonzero(~(chosen >= logits.max(axis=1, initial=-np.inf))))
    if contradicted:
        raise DriverError(
            code="predictions_inconsistent",
            message=f"In {contradicted} of {len(predicted)} released predictions the logits say another class.",
        )
