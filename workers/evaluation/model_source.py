"""Run a classifier over a slice: check, load or take the warm one, tokenise, plan, predict."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.protocol.driver import AdapterModel, ClassifierModel, DType, InferenceSpec
from workers.datasets.split import Split
from workers.evaluation.types import Answers
from workers.runtime.batching import default_budget, padding_share, plan_batches
from workers.runtime.cache import warm_models
from workers.runtime.classifier import check_model, load_classifier
from workers.runtime.devices import choose_device, device_facts, make_deterministic, require_dtype
from workers.runtime.precision import Calibration, Recheck, calibrate
from workers.runtime.predictor import Predictor
from workers.runtime.tokenizing import require_vocabulary


class ModelSource:
    """A classifier's answers to the examples of a slice."""

    def __init__(
        self,
        spec: ClassifierModel | AdapterModel,
        inference: InferenceSpec,
        split: Split,
        rows: NDArray[np.int64],
        *,
        root: Path,
        cache: Path,
        device: str,
    ) -> None:
        """Load everything. Raises DriverError as the runtime's modules say."""
        self._spec = spec
        self._inference = inference
        self._device = choose_device(device)
        require_dtype(self._device, inference.dtype)
        make_deterministic(inference.seed)
        checked = check_model(spec, root=root, cache=cache)
        key = (checked.identity, split.label_names, str(self._device), inference.dtype)
        self._classifier = warm_models.get(
            key, lambda: load_classifier(checked, split.label_names, device=self._device, dtype=inference.dtype)
        )
        began = perf_counter()
        pairs = None if split.text_pairs is None else [split.text_pairs[row] for row in rows]
        self._tokenized = self._classifier.tokenizer.encode([split.texts[row] for row in rows], pairs)
        require_vocabulary(self._tokenized, self._classifier.vocabulary)
        self._tokenizing = perf_counter() - began
        self._budget = inference.batch_tokens or default_budget(self._device.type, self._classifier.facts.parameters)
        self._lengths = [len(example) for example in self._tokenized.examples]
        # Planned over the whole slice even when part of it is done: the same example is always in the same batch,
        # so a resumed run gives the same bits as an uninterrupted one.
        self._batches = plan_batches(self._lengths, budget=self._budget, seed=inference.seed)
        self._predictor = Predictor(self._classifier)
        self._calibration: Calibration | None = None

    def answers(self, wanted: NDArray[np.bool_]) -> Iterator[Answers]:
        """The wanted answers, batch by batch."""
        examples, batches = self._tokenized.examples, [batch for batch in self._batches if wanted[batch].any()]
        recheck = None
        if self._inference.dtype is not DType.float32 and batches:
            self._calibration = calibrate(self._predictor, examples, self._batches)
            recheck = Recheck(self._predictor, self._calibration)
        for positions, logits in self._predictor.run(examples, batches, recheck):
            keep = wanted[positions]
            yield Answers(positions[keep], logits[keep].argmax(axis=1).astype(np.int16), logits[keep])

    def model_facts(self) -> dict[str, Any]:
        """The files that were loaded, and how."""
        base = self._spec.base.model_dump(mode="json") if isinstance(self._spec, AdapterModel) else None
        return {
            **asdict(self._classifier.facts),
            "source": self._spec.source.model_dump(mode="json"),
            "base": base,
            "label_columns": self._classifier.columns.tolist(),
            "tokenizer": asdict(self._classifier.tokenizer.facts),
            "model_was_run": True,
        }

    def inference_facts(self) -> dict[str, Any]:
        """How the answers were made."""
        packed = self._classifier.facts.backend == "packed"
        return {
            **asdict(device_facts(self._device, self._inference.dtype, self._inference.seed)),
            **asdict(self._predictor.counts),
            "backend": self._classifier.facts.backend,
            "batch_tokens": self._budget,
            "tokens": sum(self._lengths),
            "truncated": self._tokenized.truncated,
            "padding_share": 0.0 if packed else padding_share(self._lengths, self._batches),
            "calibration": asdict(self._calibration) if self._calibration else None,
            "tokenizing_seconds": self._tokenizing,
        }
