"""This product's own way, by the parts that a run uses: load, tokenise, plan, predict, check again."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch

from app.protocol.driver import ClassifierModel, DType, FolderSource
from evaluator.shapes import LABELS
from evaluator.texts import MAX_LENGTH
from workers.runtime.batching import default_budget, plan_batches
from workers.runtime.classifier import check_model, load_classifier
from workers.runtime.lanes import lanes_of
from workers.runtime.precision import AUDIT_EXAMPLES, CALIBRATION_EXAMPLES, Trial, try_dtype
from workers.runtime.predictor import Predictor
from workers.runtime.recheck import NO_RECHECK

Answer = Callable[[list[tuple[str, str]]], np.ndarray]


def product_path(folder: Path, device: torch.device, dtype: DType, budget: int | None) -> tuple[Answer, dict[str, Any]]:
    """The answers of the product, in batches of its own size where none is given, and facts that its runs fill in."""
    spec = ClassifierModel(kind="sequence-classification", source=FolderSource(path=str(folder)), max_length=MAX_LENGTH)
    checked = check_model(spec, root=folder, cache=folder)
    classifier = load_classifier(checked, LABELS, device=device, dtype=dtype)
    predictor = Predictor(classifier, lanes_of(device, classifier.facts.backend))
    loaded = classifier.facts
    budget = budget or default_budget(device.type, loaded.parameters)
    facts: dict[str, Any] = {
        "backend": loaded.backend,
        "kernels": loaded.kernels,
        "products": loaded.products,
        "batch_tokens": budget,
        "batches_at_once": predictor.lanes.count,
    }
    known: list[Trial] = []
    clock = process_time if device.type == "cpu" else perf_counter

    def answer(pairs: list[tuple[str, str]]) -> np.ndarray:
        examples = predictor.classifier.tokenizer.encode([one for one, _ in pairs], [two for _, two in pairs]).examples
        batches = plan_batches([len(example) for example in examples], budget=budget, seed=0)
        recheck = None
        if dtype is not DType.float32:
            if not known:
                if device.type != "cpu":
                    # Kernels are compiled at their first use, which is no part of a trial.
                    try_dtype(predictor, examples, batches)
                began = clock()
                known.append(try_dtype(predictor, examples, batches))
                took = clock() - began
                facts.update(trial=_facts(known[0]), calibration_s=_in_full(known[0], took))
            recheck = known[0].recheck(budget)
        before = predictor.counts.rechecked
        logits = np.empty((len(pairs), len(LABELS)), dtype=np.float32)
        groups = (recheck or NO_RECHECK).groups(batches)
        settled = Predictor.quick_logits if recheck else Predictor.exact_logits
        for positions, part, _ in predictor.run(examples, groups, settled, recheck or NO_RECHECK):
            logits[positions] = part
        facts.update(rechecked=predictor.counts.rechecked - before)
        return logits

    return answer, facts


def _in_full(trial: Trial, took: float) -> float:
    """What calibrating and auditing takes over the 1,024 examples of a whole set, where the sample has fewer."""
    tried = sum(part.examples for part in (trial.calibration, trial.audit) if part is not None)
    return took * (CALIBRATION_EXAMPLES + AUDIT_EXAMPLES) / tried if tried else took


def _facts(trial: Trial) -> dict[str, Any]:
    calibration, audit = (part and asdict(part) for part in (trial.calibration, trial.audit))
    return {"calibration": calibration, "audit": audit, "fallback": trial.fallback}
