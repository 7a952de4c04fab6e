"""Run a classifier over a slice: check, load or take the warm one, tokenise, plan, predict."""

from collections import Counter
from collections.abc import Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict
from itertools import compress
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.protocol.driver import AdapterModel, ClassifierModel, DType, InferenceSpec
from app.protocol.slices import indices_fingerprint
from workers.datasets.split import Split
from workers.evaluation.types import Answers, OnStep
from workers.runtime.batching import default_budget, padding_share, plan_batches, plan_in_order, with_short_start
from workers.runtime.cache import warm_models
from workers.runtime.classifier import CheckedModel, check_model, load_classifier, tokenizer_of
from workers.runtime.devices import choose_device, device_facts, make_deterministic, require_dtype
from workers.runtime.lanes import lanes_of
from workers.runtime.precision import Trial, trials, try_dtype
from workers.runtime.predictor import Predictor
from workers.runtime.recheck import NO_RECHECK, Recheck
from workers.runtime.tokenizing import Tokenized, require_vocabulary, tokenized_slices


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
        order: NDArray[np.int64] | None = None,
        on_step: OnStep = lambda: None,
    ) -> None:
        """Load everything. `order` is the permutation in which a run that may stop early has to go through its slice.

        Raises DriverError as the runtime's modules say.
        """
        self._spec = spec
        self._inference = inference
        self._device = choose_device(device)
        require_dtype(self._device, inference.dtype)
        make_deterministic(inference.seed)
        checked = check_model(spec, root=root, cache=cache)
        key = (checked.identity, split.label_names, str(self._device), inference.dtype)
        # In the background: tokenising and loading wait for each other nowhere.
        with ThreadPoolExecutor(1, "tokens") as background:
            slice_key = (split.fingerprint, indices_fingerprint(rows), checked.identity)
            tokens = background.submit(self._tokens, checked, split, rows, slice_key)
            self._classifier = warm_models.get(
                key,
                lambda: load_classifier(checked, split.label_names, device=self._device, dtype=inference.dtype),
                needs=checked.memory(inference.dtype, self._device),
                device=self._device,
            )
            self._tokenized, self._tokenizing = tokens.result()
        require_vocabulary(self._tokenized, self._classifier.vocabulary)
        self._budget = inference.batch_tokens or default_budget(self._device.type, self._classifier.facts.parameters)
        self._lengths = [len(example) for example in self._tokenized.examples]
        self._batches = self._planned(order)
        lanes = lanes_of(self._device, self._classifier.facts.backend)
        self._predictor = Predictor(self._classifier, lanes)
        self._trial: Trial | None = None
        self._trial_known = False
        self._trial_key = (key, slice_key, self._budget, inference.seed, order is None)
        self._on_step = on_step

    @staticmethod
    def _tokens(
        checked: CheckedModel, split: Split, rows: NDArray[np.int64], slice_key: Hashable
    ) -> tuple[Tokenized, float]:
        """The slice's tokens, and the seconds they took: none where an earlier run left them."""
        began = perf_counter()
        tokenizer = tokenizer_of(checked)

        def encode() -> Tokenized:
            pairs = None if split.text_pairs is None else [split.text_pairs[row] for row in rows]
            return tokenizer.encode([split.texts[row] for row in rows], pairs)

        return tokenized_slices.get(slice_key, encode), perf_counter() - began

    def _planned(self, order: NDArray[np.int64] | None) -> list[NDArray[np.int64]]:
        # Over the whole slice even when part of it is done: the same example is always in the same batch, so a resumed
        # run gives the same bits as an uninterrupted one.
        if order is not None:
            return plan_in_order(self._lengths, order, budget=self._budget, padded=not self._packed)
        plan = plan_batches(self._lengths, budget=self._budget, seed=self._inference.seed)
        return with_short_start(plan) if self._device.type == "cpu" else plan

    @property
    def _packed(self) -> bool:
        return self._classifier.facts.backend == "packed"

    def answers(self, wanted: NDArray[np.bool_]) -> Iterator[Answers]:
        """The wanted answers, batch by batch."""
        recheck = self._recheck()
        trial = self._trial
        # What a trial took is counted with the first batch.
        before = Counter(asdict(self._predictor.counts))
        # Whole groups, so that the same examples are run again together as if nothing had been done before.
        groups = list((recheck or NO_RECHECK).groups(self._batches))
        asked = [any(wanted[batch].any() for batch in group) for group in groups]
        with closing(
            self._predictor.run(
                self._tokenized.examples,
                compress(groups, asked),
                Predictor.quick_logits if recheck else Predictor.exact_logits,
                recheck or NO_RECHECK,
                known=trial.exact if trial else {},
                doubtful=trial.doubtful if recheck and trial else (),
                on_step=self._on_step,
            )
        ) as made:
            for group, at_work in zip(groups, asked, strict=True):
                for planned in group:
                    found, keep = next(made) if at_work else None, wanted[planned]
                    if found is None or not keep.any():
                        none = np.empty((0, len(self._classifier.columns)), np.float32)
                        yield Answers(planned[:0], np.empty(0, np.int16), none, planned)
                        continue
                    positions, logits, counts = found
                    best = logits[keep].argmax(axis=1).astype(np.int16)
                    yield Answers(positions[keep], best, logits[keep], planned, before + Counter(asdict(counts)))
                    before.clear()

    def _recheck(self) -> Recheck | None:
        """What is run again, by a trial of the lower dtype; None where everything runs in float32."""
        if self._inference.dtype is DType.float32:
            return None
        # Also where everything is stored already: the evidence says what the answers rest on.
        self._trial_known = self._trial_key in trials
        examples = self._tokenized.examples
        self._trial = trials.get(
            self._trial_key, lambda: try_dtype(self._predictor, examples, self._batches, self._on_step)
        )
        return self._trial.recheck(self._budget)

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
        trial = self._trial
        return {
            **asdict(device_facts(self._device, self._inference.dtype, self._inference.seed)),
            **asdict(self._predictor.counts),
            "backend": self._classifier.facts.backend,
            "kernels": self._classifier.facts.kernels,
            "products": self._classifier.facts.products,
            "batches_at_once": self._predictor.lanes.count,
            "batch_tokens": self._budget,
            "tokens": sum(self._lengths),
            "truncated": self._tokenized.truncated,
            "padding_share": 0.0 if self._packed else padding_share(self._lengths, self._batches),
            "calibration": asdict(trial.calibration) if trial and trial.calibration else None,
            "audit": asdict(trial.audit) if trial and trial.audit else None,
            "fallback_to_float32": trial.fallback if trial else None,
            "tried_in_an_earlier_run": self._trial_known,
            "tokenizing_seconds": self._tokenizing,
        }
