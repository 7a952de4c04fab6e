"""Open a driver as a run: its split loaded and checked, its slice drawn, its predictions ready to be made."""

import platform
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app.protocol.driver import AdapterModel, DriverSpec, HubSource, ReleasedPredictions
from app.protocol.errors import DriverError
from app.protocol.slices import SliceTooLargeError, draw_slice, indices_fingerprint
from workers.datasets.load import load_split
from workers.datasets.predictions import load_predictions
from workers.datasets.split import Split
from workers.evaluation.released_source import ReleasedSource
from workers.evaluation.stages import Stages
from workers.evaluation.stopping import EarlyStop, random_order
from workers.evaluation.types import OnStage, OnStep, PredictionBatch, PredictionSource, RunFacts
from workers.runtime.checkpoint import hash_weights_soon
from workers.runtime.sources import locate_checkpoint

_PACKAGES: Final = ("torch", "transformers", "tokenizers", "safetensors", "peft", "numpy", "pyarrow")


class Run:
    """One driver, opened. `batches` may be closed after any batch; what it yielded by then stands."""

    def __init__(
        self,
        spec: DriverSpec,
        split: Split,
        rows: NDArray[np.int64],
        source: PredictionSource,
        stages: Stages,
        stop: EarlyStop | None = None,
    ) -> None:
        self._spec = spec
        self._stop = stop
        self._split = split
        self._source = source
        self._stages = stages
        self._predicted = 0
        self.rows = rows
        """The rows of the split that are measured, ascending, int64 [n]."""

    @property
    def total(self) -> int:
        """How many examples the slice has."""
        return len(self.rows)

    @property
    def label_names(self) -> tuple[str, ...]:
        """What the class indices mean."""
        return self._split.label_names

    @property
    def split_counts(self) -> tuple[int, ...]:
        """How many examples of the whole split bear each label, in the order of `label_names`."""
        return self._split.label_counts

    def groups_of(self, rows: Sequence[int] | NDArray[np.int64]) -> list[str] | None:
        """The group (MNLI's genre, say) of each row; None where the data set has no groups."""
        return None if self._split.groups is None else [self._split.groups[row] for row in rows]

    def batches(
        self, skip_rows: AbstractSet[int] = frozenset(), right_rows: AbstractSet[int] = frozenset()
    ) -> Iterator[PredictionBatch]:
        """Predict the slice but for `skip_rows`, which are stored already; each remaining row comes exactly once.

        The predictions do not depend on what is skipped. A run that may stop early counts the skipped rows too, of
        which `right_rows` were right, and ends where an uninterrupted one would. Raises DriverError.
        """
        skipped = np.isin(self.rows, _array(skip_rows))
        right = np.isin(self.rows, _array(right_rows))
        answers = self._source.answers(~skipped)
        while True:
            with self._stages.timed("inference"):
                answer = next(answers, None)
            if answer is None:
                return
            self._predicted += len(answer)
            rows = self.rows[answer.positions]
            gold = self._split.labels[rows]
            if len(answer):
                item_ids = [self._split.ids[row] for row in rows]
                yield PredictionBatch(rows, item_ids, gold, answer.predicted, answer.logits, answer.counts)
            if self._stop is not None:
                known = answer.planned[skipped[answer.planned]]
                correct = int((gold == answer.predicted).sum()) + int(right[known].sum())
                if self._stop.decided(correct=correct, n=len(answer.planned)):
                    return

    def facts(self) -> dict[str, Any]:
        """The facts of the run as plain JSON values (RunFacts); complete once `batches` is exhausted."""
        seconds = {stage: round(taken, 4) for stage, taken in self._stages.seconds.items()}
        inference = self._stages.seconds.get("inference", 0.0)
        return RunFacts(
            driver={"agent_version": self._spec.agent_version, "digest": self._spec.digest},
            model=self._source.model_facts(),
            data=self._data_facts(),
            slice=self._slice_facts(),
            inference=self._source.inference_facts(),
            environment=environment_facts(),
            seconds=seconds,
            examples_per_second=round(self._predicted / inference, 2) if inference else None,
            stopping=self._stop.facts() if self._stop else None,
        ).as_dict()

    def _data_facts(self) -> dict[str, Any]:
        data = self._spec.data
        return {
            "name": data.name,
            "split": data.split,
            "source": data.source.model_dump(mode="json"),
            "file_sha256": self._split.file_sha256,
            "fingerprint": self._split.fingerprint,
            "size": len(self._split),
            "label_names": list(self.label_names),
            "label_counts": list(self.split_counts),
        }

    def _slice_facts(self) -> dict[str, Any]:
        drawn = np.bincount(self._split.labels[self.rows], minlength=len(self.label_names))
        return {
            "kind": self._spec.slice.kind.value,
            "requested": self._spec.slice.size,
            "size": self.total,
            "seed": self._spec.slice.seed,
            "indices_sha256": indices_fingerprint(self.rows),
            "label_counts": drawn.tolist(),
        }


def open_run(
    spec: DriverSpec,
    *,
    catalogue: Path,
    cache: Path,
    device: str = "auto",
    on_stage: OnStage = lambda _: None,
    on_step: OnStep = lambda: None,
) -> Run:
    """Load what the driver names: split, slice, and its model or released predictions.

    `catalogue` is what relative paths begin at, `cache` where downloads are kept. `on_stage` hears `loading_data`,
    `loading_model` and, with the first batch, `inference`; `on_step` is called before each batch that a lower dtype is
    tried on, and after each that was at work. Raises DriverError.
    """
    stages = Stages(on_stage)
    _begin_hashing(spec, catalogue)
    with stages.timed("loading_data"):
        split = load_split(spec.data, root=catalogue, cache=cache)
        rows = _draw(spec, split)
    with stages.timed("loading_model"):
        order = random_order(len(rows), spec.inference.seed) if spec.decision.early_stopping else None
        source = _source(spec, split, rows, order, catalogue=catalogue, cache=cache, device=device, on_step=on_step)
    stop = None if order is None else EarlyStop(spec, order, len(split))
    return Run(spec, split, rows, source, stages, stop)


def environment_facts() -> dict[str, Any]:
    """The versions of what ran; None where a package is not installed."""
    return {"python": platform.python_version(), "machine": platform.machine()} | {
        package: _version(package) for package in _PACKAGES
    }


def _begin_hashing(spec: DriverSpec, root: Path) -> None:
    """Hash local weights while the split is read and torch imported: more than a second for a large model."""
    model = spec.model
    if isinstance(model, ReleasedPredictions):
        return
    source = model.base if isinstance(model, AdapterModel) else model.source
    if not isinstance(source, HubSource):
        with suppress(DriverError):
            hash_weights_soon(locate_checkpoint(source, root=root, cache=root), "model.safetensors")


def _draw(spec: DriverSpec, split: Split) -> NDArray[np.int64]:
    try:
        return draw_slice(spec.slice, split.labels)
    except SliceTooLargeError as error:
        raise DriverError(code="slice_too_large", message=f"The slice cannot be drawn: {error}.") from error


def _source(
    spec: DriverSpec,
    split: Split,
    rows: NDArray[np.int64],
    order: NDArray[np.int64] | None,
    *,
    catalogue: Path,
    cache: Path,
    device: str,
    on_step: OnStep,
) -> PredictionSource:
    if isinstance(spec.model, ReleasedPredictions):
        released = load_predictions(spec.model, root=catalogue, cache=cache)
        return ReleasedSource(spec.model, released, [split.ids[row] for row in rows], split.label_names, order)
    from workers.evaluation.model_source import ModelSource  # noqa: PLC0415 - torch and transformers: seconds to import

    where = {"root": catalogue, "cache": cache}
    return ModelSource(spec.model, spec.inference, split, rows, **where, device=device, order=order, on_step=on_step)


def _array(rows: AbstractSet[int]) -> NDArray[np.int64]:
    return np.fromiter(rows, dtype=np.int64, count=len(rows))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
