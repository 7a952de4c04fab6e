from pathlib import Path

import numpy as np
import pytest
import torch

from app.protocol.driver import ClassifierModel, DType, FolderSource
from tests.workers.runtime.fakes import FakeBackend, classifier, example, true_logits
from tests.workers.split_files import NLI
from tests.workers.tiny_checkpoints import WORDS
from workers.runtime.batching import plan_batches
from workers.runtime.classifier import check_model, load_classifier
from workers.runtime.precision import CALIBRATION_EXAMPLES, LEAST_BOUND, Recheck, calibrate, top_two_margin
from workers.runtime.predictor import Predictor

pytestmark = pytest.mark.worker

_EXAMPLES = [example(number % 90) for number in range(2_000)]
_PLAN = plan_batches([4] * len(_EXAMPLES), budget=128, seed=0)
_EXACT = np.array([true_logits(number % 90) for number in range(2_000)], dtype=np.float32)


def test_the_bound_is_twice_the_largest_change_seen() -> None:
    exact = FakeBackend()
    calibration = calibrate(Predictor(classifier(exact, FakeBackend(error=0.1))), _EXAMPLES, _PLAN)
    assert calibration.examples == sum(exact.sizes) <= CALIBRATION_EXAMPLES
    assert calibration.examples > CALIBRATION_EXAMPLES // 2
    assert calibration.largest_change == pytest.approx(0.1, abs=1e-6)
    assert calibration.bound == pytest.approx(0.2, abs=1e-6)


def test_the_bound_has_a_floor() -> None:
    calibration = calibrate(Predictor(classifier(FakeBackend(), FakeBackend(error=0.001))), _EXAMPLES, _PLAN)
    assert calibration.bound == LEAST_BOUND


def test_doubtful_examples_are_made_exact_and_no_answer_differs() -> None:
    predictor = Predictor(classifier(FakeBackend(), FakeBackend(error=0.1)))
    recheck = Recheck(predictor, calibrate(predictor, _EXAMPLES, _PLAN))
    for positions, logits in predictor.run(_EXAMPLES, _PLAN, recheck):
        np.testing.assert_array_equal(logits.argmax(axis=1), _EXACT[positions].argmax(axis=1))
    margins = top_two_margin(FakeBackend(error=0.1, limit=len(_EXAMPLES)).logits(_EXAMPLES))
    assert predictor.counts.rechecked == np.count_nonzero(margins < recheck.calibration.bound)
    assert 0 < predictor.counts.rechecked < 1_000


def test_margins() -> None:
    assert top_two_margin(np.array([[3, 1, 2.5], [0, 0, 0]], dtype=np.float32)).tolist() == [0.5, 0.0]


def test_bfloat16_with_recheck_has_float32s_answers(deberta: Path) -> None:
    spec = ClassifierModel(kind="sequence-classification", source=FolderSource(path=str(deberta)), max_length=32)
    checked = check_model(spec, root=deberta, cache=deberta)
    loaded = load_classifier(checked, NLI, device=torch.device("cpu"), dtype=DType.bfloat16)
    texts = [" ".join(WORDS[(n * 7) % 40 :][: 1 + n % 6]) for n in range(200)]
    pairs = [" ".join(WORDS[(n * 11) % 40 :][: 1 + n % 5]) for n in range(200)]
    examples = loaded.tokenizer.encode(texts, pairs).examples
    plan = plan_batches([len(one) for one in examples], budget=512, seed=0)
    predictor = Predictor(loaded)
    recheck = Recheck(predictor, calibrate(predictor, examples, plan))
    assert 0 < recheck.calibration.largest_change < 1
    changed = 0
    for positions, logits in predictor.run(examples, plan, recheck):
        exact = predictor.exact_logits([examples[position] for position in positions])
        np.testing.assert_array_equal(logits.argmax(axis=1), exact.argmax(axis=1))
        changed += int(np.count_nonzero((logits != exact).any(axis=1)))
    assert changed > 0
    assert predictor.counts.rechecked > 0
