from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from app.protocol.driver import ClassifierModel, DType, FolderSource
from tests.workers.runtime.fakes import FakeBackend, classifier, example, true_logits
from tests.workers.runtime_packed.tiny_models import CPU, one_at_a_time, random_examples, tiny
from tests.workers.split_files import NLI
from tests.workers.tiny_checkpoints import WORDS
from workers.runtime.batching import plan_batches
from workers.runtime.classifier import check_model, load_classifier
from workers.runtime.packed import packed_backend
from workers.runtime.precision import (
    AUDIT_EXAMPLES,
    CALIBRATION_EXAMPLES,
    LEAST_BOUND,
    samples_of,
    try_dtype,
)
from workers.runtime.predictor import Predictor
from workers.runtime.recheck import NO_RECHECK, Recheck, top_two_margin

pytestmark = pytest.mark.worker

_EXAMPLES = [example(number % 90) for number in range(2_000)]
_PLAN = plan_batches([4] * len(_EXAMPLES), budget=128, seed=0)
_EXACT = np.array([true_logits(number % 90) for number in range(2_000)], dtype=np.float32)


def test_the_bound_is_twice_the_largest_change_seen_and_others_audit_it() -> None:
    exact = FakeBackend()
    trial = try_dtype(Predictor(classifier(exact, FakeBackend(error=0.1))), _EXAMPLES, _PLAN)
    assert trial.calibration is not None
    assert trial.audit is not None
    assert trial.fallback is None
    assert (trial.calibration.examples, trial.audit.examples) == (CALIBRATION_EXAMPLES, AUDIT_EXAMPLES)
    assert sum(exact.sizes) == CALIBRATION_EXAMPLES + AUDIT_EXAMPLES
    assert trial.calibration.largest_change == pytest.approx(0.1, abs=1e-6)
    assert trial.calibration.bound == pytest.approx(0.2, abs=1e-6)
    assert trial.audit.largest_change == pytest.approx(0.1, abs=1e-6)
    # Numbers 1 to 10 whose first logit falls by 0.1: the answer flips, at a margin that the bound covers.
    assert trial.audit.flips > 0
    assert trial.audit.flips_outside == 0


def test_the_bound_has_a_floor() -> None:
    trial = try_dtype(Predictor(classifier(FakeBackend(), FakeBackend(error=0.001))), _EXAMPLES, _PLAN)
    assert trial.calibration is not None
    assert trial.calibration.bound == LEAST_BOUND


class _Spy(FakeBackend):
    """Strays only where told to, and remembers what it was asked."""

    def __init__(self, stray: dict[int, list[float]]) -> None:
        super().__init__()
        self.asked: list[int] = []
        self._stray = stray

    def logits(self, batch: Any) -> Any:  # noqa: ANN401 - as FakeBackend
        found = super().logits(batch)
        self.asked += [int(one.input_ids[1]) for one in batch]
        for row, one in enumerate(batch):
            found[row] += np.array(self._stray.get(int(one.input_ids[1]), [0.0] * 3), dtype=np.float32)
        return found


def _numbered(count: int) -> list[Any]:
    """Every example known by its second token; all of them clear answers."""
    examples = [example(80) for _ in range(count)]
    for number, one in enumerate(examples):
        one.input_ids[1] = number
    return examples


def _tried(count: int, stray: dict[int, list[float]], budget: int = 128) -> tuple[Any, list[int], list[int]]:
    """The trial, and the numbers that calibrated and audited."""
    examples, quick = _numbered(count), _Spy(stray)
    predictor = Predictor(classifier(FakeBackend(), quick))
    plan = plan_batches([4] * count, budget=budget, seed=0)
    trial = try_dtype(predictor, examples, plan)
    samples = list(samples_of(plan))
    calibrated, audited = (
        [int(position) for sample in samples for position in sample.positions[sample.calibrating == which]]
        for which in (True, False)
    )
    assert trial.fallback == "non_finite" or set(quick.asked) == {*calibrated, *audited}
    return trial, calibrated, audited


@pytest.mark.parametrize("budget", [16, 128, 4_000, 100_000])
def test_calibration_and_audit_are_different_examples_from_all_over_the_slice(budget: int) -> None:
    trial, calibrated, audited = _tried(5_000, {}, budget)
    assert not set(calibrated) & set(audited)
    assert trial.audit.examples == len(audited) == AUDIT_EXAMPLES
    batches = plan_batches([4] * 5_000, budget=budget, seed=0)
    for sample in (calibrated, audited):
        assert max(sample) > 4_500
        assert min(sample) < 500
        met = [len(set(sample) & set(batch.tolist())) for batch in batches]
        # No few batches make up the sample: the longest examples are in one, the shortest in another.
        assert sum(map(bool, met)) >= min(len(batches), 16)


@pytest.mark.parametrize(
    ("stray", "fallback", "flips_outside"),
    [
        ([0.06, 0.0, 0.0], "audit_change", 0),  # beyond the bound of 0.05, and no answer moved
        ([-2.0, 0.0, 0.0], "audit_flip", 1),
        ([0.04, 0.0, 0.0], None, 0),
        ([float("inf"), 0.0, 0.0], "non_finite", None),
    ],
)
def test_an_audit_that_contradicts_the_bound_sends_the_run_to_float32(
    stray: list[float], fallback: str | None, flips_outside: int | None
) -> None:
    _, _, audited = _tried(3_000, {})
    trial, _, _ = _tried(3_000, {audited[17]: stray})
    assert trial.fallback == fallback
    if flips_outside is not None:
        assert trial.audit.flips_outside == flips_outside


def test_a_value_that_is_not_finite_is_no_calibration() -> None:
    _, calibrated, _ = _tried(3_000, {})
    trial, _, _ = _tried(3_000, {calibrated[3]: [float("nan"), 0.0, 0.0]})
    assert (trial.calibration, trial.audit, trial.fallback) == (None, None, "non_finite")


@pytest.mark.parametrize("count", [2, 3, 40, 700])
def test_a_small_slice_is_tried_in_halves(count: int) -> None:
    trial, calibrated, audited = _tried(count, {})
    assert len(calibrated) + len(audited) == count
    assert abs(len(calibrated) - len(audited)) <= 1 + count // 32
    assert trial.fallback is None


def test_without_others_to_audit_nothing_is_trusted() -> None:
    assert _tried(1, {})[0].fallback == "not_audited"


def test_doubtful_examples_are_made_exact_and_no_answer_differs() -> None:
    predictor = Predictor(classifier(FakeBackend(), FakeBackend(error=0.1)))
    trial = try_dtype(predictor, _EXAMPLES, _PLAN)
    assert trial.calibration is not None
    recheck = Recheck(trial.calibration.bound, budget=128)
    for positions, logits, _ in predictor.run(_EXAMPLES, recheck.groups(_PLAN), Predictor.quick_logits, recheck):
        np.testing.assert_array_equal(logits.argmax(axis=1), _EXACT[positions].argmax(axis=1))
    margins = top_two_margin(FakeBackend(error=0.1, limit=len(_EXAMPLES)).logits(_EXAMPLES))
    assert predictor.counts.rechecked == np.count_nonzero(margins <= recheck.bound)
    assert 0 < predictor.counts.rechecked < 1_000


@pytest.mark.parametrize("stray", [0.01, 2.0])
def test_what_was_tried_is_answered_by_float32_and_not_asked_again(stray: float) -> None:
    exact, quick = FakeBackend(), FakeBackend(error=stray)
    predictor = Predictor(classifier(exact, quick))
    trial = try_dtype(predictor, _EXAMPLES, _PLAN)
    assert len(trial.exact) == CALIBRATION_EXAMPLES + AUDIT_EXAMPLES == sum(exact.sizes) == sum(quick.sizes)
    margins = top_two_margin(FakeBackend(error=stray, limit=len(_EXAMPLES)).logits(_EXAMPLES))
    assert trial.calibration is not None
    bound = trial.calibration.bound
    assert trial.doubtful == {position for position in trial.exact if margins[position] <= bound}
    for positions, logits, _ in predictor.run(
        _EXAMPLES, NO_RECHECK.groups(_PLAN), Predictor.quick_logits, known=trial.exact, doubtful=trial.doubtful
    ):
        tried = [position in trial.exact for position in positions.tolist()]
        np.testing.assert_array_equal(logits[tried], _EXACT[positions[tried]])
        assert (logits != _EXACT[positions]).any(axis=1).tolist() == [not one for one in tried]
    assert sum(quick.sizes) == len(_EXAMPLES)
    assert predictor.counts.rechecked == len(trial.doubtful) > 0
    assert predictor.counts.batches == len(_PLAN)


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
    trial = try_dtype(predictor, examples, plan)
    assert trial.calibration is not None
    assert 0 < trial.calibration.largest_change < 1
    assert trial.fallback is None
    changed = 0
    recheck = Recheck(trial.calibration.bound, budget=512)
    for positions, logits, _ in predictor.run(examples, recheck.groups(plan), Predictor.quick_logits, recheck):
        exact = predictor.exact_logits([examples[position] for position in positions])
        np.testing.assert_array_equal(logits.argmax(axis=1), exact.argmax(axis=1))
        changed += int(np.count_nonzero((logits != exact).any(axis=1)))
    assert changed > 0
    assert predictor.counts.rechecked > 0


def test_a_deberta_that_overflows_float16_is_caught() -> None:
    """A real one: hidden states beyond 65,504, as the feed-forward of some published checkpoints has them."""
    model: Any = tiny("deberta")
    with torch.no_grad():
        model.deberta.encoder.layer[1].intermediate.dense.weight.mul_(3e3)
        model.deberta.encoder.layer[1].output.dense.weight.mul_(1e2)
    examples = random_examples((3, 9, 9, 17, 30, 5), model)
    expected = one_at_a_time(model, examples)
    assert np.isfinite(expected).all()
    quick = packed_backend(_copy(model), device=CPU, dtype=torch.float16)
    exact = packed_backend(model, device=CPU, dtype=torch.float32)
    assert quick is not None
    assert exact is not None
    assert not np.isfinite(quick.logits(examples)).all()
    predictor = Predictor(classifier(exact, quick))
    assert predictor.lower_logits(examples) is None
    assert try_dtype(predictor, examples, [np.arange(6)]).fallback == "non_finite"
    np.testing.assert_allclose(predictor.quick_logits(examples), expected, rtol=0, atol=1e-4)
    assert predictor.counts.non_finite == 1


def _copy(model: Any) -> Any:  # noqa: ANN401 - as tiny
    twin: Any = tiny("deberta")
    twin.load_state_dict(model.state_dict())
    return twin
