"""Stopping early: the order is random, the promise holds wherever a run stops, and a resumed run stops there too."""

import tomllib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.protocol.driver import DriverSpec
from app.statistics.equivalence import Position
from app.statistics.sequential import ConfidenceSequence
from workers.datasets.load import load_split
from workers.datasets.predictions import load_predictions
from workers.evaluation.run import Run, open_run
from workers.evaluation.stopping import EarlyStop, random_order

pytestmark = pytest.mark.worker

DRIVER = "bert-base-mnli-seed01-matched"


def spec(catalogue: Path, claim: str = "0.848", margin: float = 0.02, **tables: Any) -> DriverSpec:  # noqa: ANN401
    """The shipped driver of released predictions, told to stop early."""
    table = tomllib.loads((catalogue / "drivers" / f"{DRIVER}.toml").read_text("utf-8"))
    table["claim"] |= {"reported_value": claim, "n_items": None}
    table["decision"] = {"margin": margin, "early_stopping": True}
    table["protocol"]["data"] = "probability_slice"
    return DriverSpec.model_validate(table | tables)


@pytest.fixture(scope="module")
def right(catalogue: Path) -> np.ndarray:
    """Which of the 9,815 released answers are right, by row."""
    wanted = spec(catalogue)
    split = load_split(wanted.data, root=catalogue, cache=catalogue)
    released = load_predictions(wanted.model, root=catalogue, cache=catalogue)  # type: ignore[arg-type]
    answers = dict(zip(released.ids, released.predicted.tolist(), strict=True))
    return np.asarray(np.array([answers[one] for one in split.ids]) == split.labels)


def _open(catalogue: Path, wanted: DriverSpec) -> Run:
    return open_run(wanted, catalogue=catalogue, cache=catalogue, device="cpu")


def _finish(run: Run, stored: set[int], right: np.ndarray) -> tuple[set[int], dict[str, Any]]:
    rows = set(stored)
    for batch in run.batches(stored, {row for row in stored if right[row]}):
        new = set(batch.rows.tolist())
        assert not new & rows
        rows |= new
    return rows, run.facts()["stopping"]


def test_the_order_is_a_permutation_of_its_own() -> None:
    order = random_order(1000, 7)
    assert sorted(order.tolist()) == list(range(1000))
    np.testing.assert_array_equal(order, random_order(1000, 7))
    assert (order != random_order(1000, 8)).any()
    # Not the one that the batches are shuffled with, whatever the seeds.
    assert (order != np.random.Generator(np.random.PCG64(7)).permutation(1000)).any()


def test_every_item_is_as_likely_at_every_place() -> None:
    first = [int(np.flatnonzero(random_order(10, seed) == 3)[0]) for seed in range(2000)]
    counts = np.bincount(first, minlength=10)
    # chi-squared with 9 degrees of freedom: 27.9 has probability 0.001
    assert ((counts - 200) ** 2 / 200).sum() < 27.9


def test_a_run_stops_once_it_is_decided_and_says_so(catalogue: Path, right: np.ndarray) -> None:
    run = _open(catalogue, spec(catalogue))
    rows, stopping = _finish(run, set(), right)
    assert 300 < len(rows) < 6000
    assert stopping["stopped_early"]
    assert (stopping["examined"], stopping["planned"]) == (len(rows), 9815)
    assert stopping["position"] == "inside"
    assert stopping["alpha"] == 0.05
    order = random_order(9815, 0)
    assert rows == set(order[: len(rows)].tolist())
    assert stopping["looks"] == len(rows) // 32
    # The look before was not enough, and this one is.
    for n, decided in [(len(rows) - 32, False), (len(rows), True)]:
        interval = ConfidenceSequence(9815, n=n, correct=int(right[order[:n]].sum())).interval
        assert (interval.low >= 0.828 - 0.0005 and interval.high <= 0.868 + 0.0005) is decided


@pytest.mark.parametrize(("claim", "position"), [("0.70", "above"), ("0.95", "below")])
def test_a_claim_far_off_is_refuted_soon(catalogue: Path, right: np.ndarray, claim: str, position: str) -> None:
    rows, stopping = _finish(_open(catalogue, spec(catalogue, claim)), set(), right)
    assert len(rows) < 1500
    assert stopping["position"] == position


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(catalogue: Path, right: np.ndarray) -> None:
    whole, facts = _finish(_open(catalogue, spec(catalogue)), set(), right)
    batches = facts["looks"]
    for done in (1, batches // 2, batches - 1, batches):
        first: Iterator[Any] = _open(catalogue, spec(catalogue)).batches()
        stored = {row for batch in islice(first, done) for row in batch.rows.tolist()}
        rest, again = _finish(_open(catalogue, spec(catalogue)), stored, right)
        assert (rest, again) == (whole, facts)


def test_a_slice_that_never_decides_is_measured_whole(catalogue: Path, right: np.ndarray) -> None:
    narrow = spec(catalogue, margin=0.001, slice={"kind": "simple", "size": 400})
    run = _open(catalogue, narrow)
    rows, stopping = _finish(run, set(), right)
    assert rows == set(run.rows.tolist())
    assert (stopping["stopped_early"], stopping["examined"], stopping["position"]) == (False, 400, "undecided")


def test_the_promise_holds_at_the_moment_a_run_stops(catalogue: Path, right: np.ndarray) -> None:
    """Real answers in random order, a claim whose margin ends just below the truth: stopping is as tempting as can be.

    Every `inside` is an error, and so is an interval that misses the truth at the moment of stopping. Each may happen
    in 1 of 20 runs; of 200 runs at 0.05, more than 18 have probability 0.01.
    """
    population = right[:1500]
    total = len(population)
    truth = population.mean()
    wanted = spec(catalogue, f"{truth - 0.0312:.4f}", margin=0.03)
    wrong = missed = stopped = 0
    for seed in range(200):
        order = random_order(total, seed)
        state = EarlyStop(wanted, order, total)
        for start in range(0, total, 60):
            piece = order[start : start + 60]
            if state.decided(correct=int(population[piece].sum()), n=len(piece)):
                break
        interval = state._state.interval
        wrong += state.position is Position.inside
        missed += not interval.low <= truth <= interval.high
        stopped += state.examined < total
    assert wrong <= 18
    assert missed <= 18
    assert stopped > wrong
