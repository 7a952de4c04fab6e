"""This product's own way, by the parts that a run uses: load, tokenise, plan, predict, check again."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch

from app.protocol.driver import ClassifierModel, DType, FolderSource
from evaluator.shapes import LABELS
from evaluator.texts import MAX_LENGTH
from workers.runtime.batching import plan_batches
from workers.runtime.classifier import check_model, load_classifier
from workers.runtime.precision import Calibration, Recheck, calibrate
from workers.runtime.predictor import Predictor

Answer = Callable[[list[tuple[str, str]]], np.ndarray]


def product_path(folder: Path, device: torch.device, dtype: DType, budget: int) -> tuple[Answer, dict[str, Any]]:
    """The answers of the product, and facts that its runs fill in."""
    spec = ClassifierModel(kind="sequence-classification", source=FolderSource(path=str(folder)), max_length=MAX_LENGTH)
    checked = check_model(spec, root=folder, cache=folder)
    predictor = Predictor(load_classifier(checked, LABELS, device=device, dtype=dtype))
    facts: dict[str, Any] = {"backend": predictor.classifier.facts.backend, "batch_tokens": budget}
    known: list[Calibration] = []

    def answer(pairs: list[tuple[str, str]]) -> np.ndarray:
        examples = predictor.classifier.tokenizer.encode([one for one, _ in pairs], [two for _, two in pairs]).examples
        batches = plan_batches([len(example) for example in examples], budget=budget, seed=0)
        recheck = None
        if dtype is not DType.float32:
            if not known:
                began = process_time()
                known.append(calibrate(predictor, examples, batches))
                facts.update(calibration=asdict(known[0]), calibration_cpu_s=process_time() - began)
            recheck = Recheck(predictor, known[0])
        before = predictor.counts.rechecked
        logits = np.empty((len(pairs), len(LABELS)), dtype=np.float32)
        for positions, part in predictor.run(examples, batches, recheck):
            logits[positions] = part
        facts.update(rechecked=predictor.counts.rechecked - before)
        return logits

    return answer, facts
