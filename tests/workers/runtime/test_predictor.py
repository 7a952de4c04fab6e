import numpy as np
import pytest
import torch

from app.protocol.errors import DriverError
from tests.workers.runtime.fakes import FakeBackend, classifier, example, true_logits
from workers.runtime.predictor import Predictor
from workers.runtime.recheck import NO_RECHECK

pytestmark = pytest.mark.worker

_BATCH = [example(number) for number in range(10)]
_EXPECTED = np.array([true_logits(number) for number in range(10)], dtype=np.float32)


def test_columns_are_put_in_the_data_sets_order() -> None:
    logits = Predictor(classifier(FakeBackend(), columns=(2, 0, 1))).exact_logits(_BATCH)
    np.testing.assert_array_equal(logits, _EXPECTED[:, [2, 0, 1]])


@pytest.mark.parametrize(
    "failure",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_what_does_not_fit_is_halved_until_it_does(failure: Exception) -> None:
    backend = FakeBackend(limit=3, failure=failure)
    predictor = Predictor(classifier(backend))
    np.testing.assert_array_equal(predictor.exact_logits(_BATCH), _EXPECTED)
    assert backend.sizes == [10, 5, 2, 3, 5, 2, 3]
    assert predictor.counts.halvings == 3


def test_a_single_example_that_does_not_fit_ends_the_run() -> None:
    with pytest.raises(DriverError) as caught:
        Predictor(classifier(FakeBackend(limit=0))).exact_logits(_BATCH)
    assert (caught.value.code, caught.value.retryable) == ("out_of_memory", True)


def test_other_errors_are_not_taken_for_lack_of_memory() -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        Predictor(classifier(FakeBackend(limit=3, failure=RuntimeError("shapes do not match")))).exact_logits(_BATCH)


def test_non_finite_values_of_a_lower_dtype_are_computed_in_float32() -> None:
    predictor = Predictor(classifier(FakeBackend(), FakeBackend(error=0.5, bad=frozenset({3}))))
    np.testing.assert_array_equal(predictor.quick_logits(_BATCH), _EXPECTED)
    assert predictor.counts.non_finite == 1
    assert not np.array_equal(predictor.quick_logits(_BATCH[5:]), _EXPECTED[5:])


def test_non_finite_values_in_float32_end_the_run() -> None:
    bad = FakeBackend(bad=frozenset({3}))
    for quick in (None, FakeBackend(bad=frozenset({3}))):
        with pytest.raises(DriverError) as caught:
            Predictor(classifier(bad, quick)).quick_logits(_BATCH)
        assert (caught.value.code, caught.value.retryable) == ("non_finite_logits", False)


def test_batches_come_with_their_positions() -> None:
    plan = [np.array([4, 2]), np.array([9])]
    predictor = Predictor(classifier(FakeBackend()))
    found = list(predictor.run(_BATCH, NO_RECHECK.groups(plan), Predictor.exact_logits))
    assert [batch.positions.tolist() for batch in found] == [[4, 2], [9]]
    np.testing.assert_array_equal(found[0].logits, _EXPECTED[[4, 2]])
