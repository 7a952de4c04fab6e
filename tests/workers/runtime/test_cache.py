import pytest

from tests.workers.runtime.fakes import FakeBackend, classifier
from workers.runtime.cache import WarmModels
from workers.runtime.classifier import Classifier

pytestmark = pytest.mark.worker


def test_the_last_model_is_kept_and_an_older_one_goes_before_the_next_is_loaded() -> None:
    warm, held = WarmModels(), []

    def load() -> Classifier:
        held.append(len(warm))
        return classifier(FakeBackend())

    first = warm.get("a", load)
    assert warm.get("a", load) is first
    second = warm.get("b", load)
    assert warm.get("b", load) is second
    assert warm.get("a", load) is not first
    assert held == [0, 0, 0]
    assert len(warm) == 1


def test_a_larger_capacity_drops_the_least_recently_used() -> None:
    warm = WarmModels(capacity=2)
    kept = {name: warm.get(name, lambda: classifier(FakeBackend())) for name in "ab"}
    assert warm.get("a", lambda: classifier(FakeBackend())) is kept["a"]
    warm.get("c", lambda: classifier(FakeBackend()))
    assert warm.get("a", lambda: classifier(FakeBackend())) is kept["a"]
    assert warm.get("b", lambda: classifier(FakeBackend())) is not kept["b"]


def test_a_load_that_fails_leaves_no_trace() -> None:
    warm = WarmModels()
    with pytest.raises(ZeroDivisionError):
        warm.get("a", lambda: 1 / 0)  # type: ignore[arg-type,return-value]
    assert len(warm) == 0
    assert warm.get("a", lambda: classifier(FakeBackend()))
