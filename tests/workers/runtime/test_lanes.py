"""Batches beside each other: in order, ended together, and with no trace in the threads of the process."""

import threading
from collections.abc import Iterator
from threading import Event, Thread

import numpy as np
import pytest
import torch

from app.protocol.errors import DriverError
from tests.workers.runtime.fakes import FakeBackend, classifier, example, true_logits
from workers.runtime.lanes import Lanes, lanes_of
from workers.runtime.predictor import Predictor
from workers.runtime.recheck import NO_RECHECK

pytestmark = pytest.mark.worker

_CPU = torch.device("cpu")
_WAIT_S = 20


@pytest.fixture(autouse=True)
def _three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    assert not _lanes()
    assert torch.get_num_threads() == _elsewhere() == 3
    torch.set_num_threads(before)


def _lanes() -> list[Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("lane")]


def _elsewhere() -> int:
    """What a new thread begins with."""
    found: list[int] = []
    thread = Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return found[0]


def test_items_are_at_work_together_and_come_in_their_order() -> None:
    later = Event()

    def do(item: int) -> int:
        if item == 0:
            assert later.wait(_WAIT_S)
        if item == 3:
            later.set()
        return item

    assert list(Lanes(2).each(do, range(9))) == list(range(9))


@pytest.mark.parametrize("inside", [1, 2])
def test_products_of_a_lane_are_split_as_said(inside: int) -> None:
    assert set(Lanes(2, inside).each(lambda _: torch.get_num_threads(), range(6))) == {inside}


def test_without_a_second_lane_nothing_is_done_ahead_and_the_threads_are_the_processs() -> None:
    begun: list[int] = []

    def do(item: int) -> int:
        begun.append(item)
        return torch.get_num_threads()

    assert next(Lanes().each(do, range(5))) == 3
    assert begun == [0]


def test_an_error_comes_in_its_turn_and_is_the_end() -> None:
    begun = set()

    def do(item: int) -> int:
        begun.add(item)
        if item == 2:
            message = "broken"
            raise RuntimeError(message)
        return item

    each = Lanes(2).each(do, range(50))
    assert [next(each), next(each)] == [0, 1]
    with pytest.raises(RuntimeError, match="broken"):
        next(each)
    assert not _lanes()
    assert max(begun) < 6
    assert list(each) == []


def test_whoever_closes_it_waits_for_what_is_at_work_and_for_no_more() -> None:
    begun, done, go = set(), set(), Event()

    def do(item: int) -> int:
        begun.add(item)
        assert item == 0 or go.wait(_WAIT_S)
        done.add(item)
        return item

    each = Lanes(2).each(do, range(50))
    assert next(each) == 0
    Thread(target=go.set).start()
    each.close()
    assert begun == done
    assert max(begun) < 4


def test_what_does_not_fit_beside_others_is_done_alone() -> None:
    together, lock = threading.Barrier(2), threading.Lock()
    at_work: set[int] = set()
    alone: list[int] = []

    def do(item: int) -> int:
        with lock:
            at_work.add(item)
            others = len(at_work) - 1
        if item in {0, 1} and not alone:
            together.wait(_WAIT_S)
        try:
            if item == 1:
                alone.append(others)
                if len(alone) == 1:
                    raise DriverError("out_of_memory", "No room.", retryable=True)
        finally:
            with lock:
                at_work.remove(item)
        return item

    assert list(Lanes(2).each(do, range(7))) == list(range(7))
    assert alone[1:] == [0]


def test_what_does_not_fit_alone_either_ends_the_run() -> None:
    predictor = Predictor(classifier(FakeBackend(limit=0)), Lanes(2))
    plan = [np.array([number]) for number in range(6)]
    with pytest.raises(DriverError) as caught:
        list(predictor.run([example(number) for number in range(6)], NO_RECHECK.groups(plan), Predictor.exact_logits))
    assert caught.value.code == "out_of_memory"


def test_each_batch_has_its_own_counts() -> None:
    predictor = Predictor(classifier(FakeBackend(), FakeBackend(limit=2, bad=frozenset({5}))), Lanes(3))
    plan = [np.array([number, number + 1, number + 2]) for number in range(0, 30, 3)]
    examples = [example(number) for number in range(30)]
    found = list(predictor.run(examples, NO_RECHECK.groups(plan), Predictor.quick_logits))
    np.testing.assert_array_equal(np.concatenate([batch.logits for batch in found])[:, 0], _first(30))
    assert [(batch.counts.halvings, batch.counts.non_finite) for batch in found] == [(1, 0), (1, 1)] + [(1, 0)] * 8
    assert (predictor.counts.batches, predictor.counts.halvings, predictor.counts.non_finite) == (10, 10, 1)


def _first(count: int) -> np.ndarray:
    return np.array([true_logits(number)[0] for number in range(count)], dtype=np.float32)


@pytest.mark.parametrize(
    ("threads", "count", "inside"), [(1, 1, 1), (2, 2, 1), (8, 8, 1), (9, 4, 2), (16, 8, 2), (33, 6, 5), (64, 8, 8)]
)
def test_as_many_lanes_as_threads_up_to_eight(
    threads: int, count: int, inside: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert lanes_of(_CPU, "packed") == Lanes(count, inside)
    monkeypatch.undo()


def test_a_gpu_and_transformers_have_one_lane() -> None:
    assert lanes_of(torch.device("cuda", 0), "packed") == lanes_of(_CPU, "transformers") == Lanes()
