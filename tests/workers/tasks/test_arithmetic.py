"""What a verdict's evidence says of the arithmetic: the bound, what was computed again, what fell back to float32."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sqlalchemy import text
from transformers import AutoModelForSequenceClassification

from tests.api.helpers import Api, Json, ok
from tests.factories.drivers import Table, paper_table, write_catalogue
from tests.factories.runs import let_pass
from tests.workers.split_files import nli_rows, write_split
from tests.workers.tasks.fixtures import app, client, context, request_run, settings
from tests.workers.tiny_checkpoints import WORDS, write_checkpoint
from workers.context import WorkerContext
from workers.evaluation import model_source
from workers.evaluation.run import Run
from workers.runtime import precision
from workers.runtime.recent import Recent
from workers.tasks.heart import Heart
from workers.tasks.reproduce import reproduce_next

__all__ = ["app", "client", "context", "settings"]

pytestmark = pytest.mark.worker

PAPER = "draft:arithmetic"
SIZE = 150


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DeBERTa in float32 and in bfloat16, and one that overflows bfloat16."""
    folder = tmp_path_factory.mktemp("catalogue")
    data = write_split(folder, nli_rows(SIZE, words=WORDS)).model_dump(mode="json", exclude_none=True)
    write_checkpoint(folder / "sound")
    _overflowing(write_checkpoint(folder / "overflowing"))
    tables = [
        _driver(model, dtype, data)
        for model, dtype in (("sound", "float32"), ("sound", "bfloat16"), ("overflowing", "bfloat16"))
    ]
    return write_catalogue(folder, tables, [paper_table(PAPER)])


def _overflowing(folder: Path) -> None:
    """One weight is within float32's largest number and beyond bfloat16's; it is of a unit that is always 0.

    Not of the last layer, which is float32 also then.
    """
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    layer = model.deberta.encoder.layer[0]
    with torch.no_grad():
        layer.intermediate.dense.weight[0] = 0.0
        layer.intermediate.dense.bias[0] = 0.0
        layer.output.dense.weight[:, 0] = 3.4e38
    model.save_pretrained(folder)


def _driver(model: str, dtype: str, data: Json) -> Table:
    cell = {"section": "Table 1", "row": model, "column": dtype, "quoted_text": "Ours 40.0"}
    return {
        "slug": f"{model}-{dtype}",
        "version": "0.1.0",
        "description": "A tiny checkpoint.",
        "paper": PAPER,
        "claim": cell | {"reported_value": "40.0", "unit": "percent", "metric": "accuracy"},
        "model": {"kind": "sequence-classification", "source": {"path": model}, "max_length": 64},
        "data": data,
        "inference": {"batch_tokens": 96, "dtype": dtype},
        "protocol": {"model": "exact_weights", "data": "full_split", "metric": "same", "inference": "same"},
        "decision": {"margin": 0.02},
    }


def _outcome(client: Api, run_id: str) -> tuple[Json, Json, list[Json]]:
    """The verdict without its ids and times, the facts of its evidence, and its predictions."""
    run = ok(client.get(f"/v1/reproductions/{run_id}"))
    assert (run["state"], run["error"]) == ("succeeded", None)
    verdict = ok(client.get(f"/v1/verdicts/{run['verdict_id']}"))
    facts = ok(client.get(f"/v1/verdicts/{run['verdict_id']}/evidence"))["facts"]
    lines = client.get(f"/v1/verdicts/{run['verdict_id']}/predictions").text.splitlines()
    said = {name: verdict[name] for name in ("status", "score", "confidence", "estimate")}
    return said, facts, [json.loads(line) for line in lines]


def _answers(predictions: list[Json]) -> list[tuple[int, str]]:
    return [(one["row"], one["predicted"]) for one in predictions]


def _margins(predictions: list[Json]) -> np.ndarray:
    logits = np.sort(np.array([one["logits"] for one in predictions], dtype=np.float32), axis=1)
    return np.asarray(logits[:, -1] - logits[:, -2])


def test_the_evidence_of_a_lower_dtype_says_what_it_rests_on(
    client: Api, context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    for sample in ("CALIBRATION_EXAMPLES", "AUDIT_EXAMPLES"):
        monkeypatch.setattr(precision, sample, SIZE // 5)
    exact, quick = (request_run(client, PAPER, f"sound-{dtype}") for dtype in ("float32", "bfloat16"))
    while reproduce_next(context):
        pass
    expected, plain, answers = _outcome(client, exact)
    said, facts, predictions = _outcome(client, quick)
    assert plain["inference"]["dtype"] == "float32"
    assert [plain["inference"][name] for name in ("calibration", "audit", "fallback_to_float32")] == [None] * 3
    assert (plain["inference"]["rechecked"], plain["attempt"]) == (0, {"number": 1, "stored_before": 0})
    assert (said, _answers(predictions)) == (expected, _answers(answers))
    inference = facts["inference"]
    calibration, audit = inference["calibration"], inference["audit"]
    assert (inference["dtype"], inference["fallback_to_float32"]) == ("bfloat16", None)
    assert calibration["bound"] == max(2 * calibration["largest_change"], precision.LEAST_BOUND)
    assert calibration["examples"] == audit["examples"] == SIZE // 5
    assert audit["flips_outside"] == 0 <= audit["flips"]
    # Every example up to the bound was computed again, and the two samples were: their logits are float32's, and the
    # others' are bfloat16's.
    moved = np.array([one["logits"] for one in predictions]) - np.array([one["logits"] for one in answers])
    again = (np.abs(moved) < 1e-5).all(axis=1)
    assert inference["rechecked"] > 0
    assert max(inference["rechecked"], 2 * SIZE // 5) <= sum(again) < SIZE
    assert again[_margins(answers) < calibration["bound"] / 2].all()
    assert inference["non_finite"] == 0


def test_a_second_run_by_the_same_worker_knows_what_the_first_one_tried(client: Api, context: WorkerContext) -> None:
    outcomes = []
    for _ in range(2):
        run_id = request_run(client, PAPER, "sound-bfloat16")
        assert reproduce_next(context)
        outcomes.append(_outcome(client, run_id))
    (said, facts, predictions), (again, later, repeated) = outcomes
    assert (again, repeated) == (said, predictions)
    assert later["inference"]["tried_in_an_earlier_run"] is True
    for name in ("calibration", "audit", "fallback_to_float32", "rechecked"):
        assert later["inference"][name] == facts["inference"][name]


def test_values_that_are_not_finite_send_the_run_to_float32_and_the_evidence_says_so(
    client: Api, context: WorkerContext
) -> None:
    run_id = request_run(client, PAPER, "overflowing-bfloat16")
    assert reproduce_next(context)
    _, facts, predictions = _outcome(client, run_id)
    inference = facts["inference"]
    assert (inference["dtype"], inference["fallback_to_float32"]) == ("bfloat16", "non_finite")
    assert (inference["calibration"], inference["audit"]) == (None, None)
    assert np.isfinite([one["logits"] for one in predictions]).all()
    assert len({one["predicted"] for one in predictions}) > 1


class _CrashError(BaseException):
    """The end of a worker: nothing that follows it is done."""


def _crash_after(batches: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real, add = Run.batches, Heart.add

    def broken(self: Run, *stored: Any) -> Iterator[Any]:  # noqa: ANN401  # as Run.batches
        for number, batch in enumerate(real(self, *stored)):
            if number == batches:
                raise _CrashError
            yield batch

    def stored(self: Heart, batch: Any) -> None:  # noqa: ANN401  # as Heart.add
        add(self, batch)
        self.beat()

    monkeypatch.setattr(Run, "batches", broken)
    monkeypatch.setattr(Heart, "add", stored)


@pytest.mark.parametrize("batches", [5, 10**6])
def test_what_was_computed_again_before_a_crash_is_counted(
    batches: int, client: Api, context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken off after some batches, and after all of them."""
    monkeypatch.setattr(model_source, "trials", Recent(64))  # no earlier test's trial is known
    whole = request_run(client, PAPER, "sound-bfloat16")
    assert reproduce_next(context)
    expected, facts, predictions = _outcome(client, whole)
    crashed = request_run(client, PAPER, "sound-bfloat16")
    with monkeypatch.context() as patched:
        _crash_after(batches, patched)
        patched.setattr("workers.tasks.reproduce.conclude_run", _raise_crash)
        with pytest.raises(_CrashError):
            reproduce_next(context)
    let_pass(context.database, crashed, "lease_until")  # type: ignore[arg-type]
    assert reproduce_next(context)
    said, resumed, again = _outcome(client, crashed)
    assert (said, again) == (expected, predictions)
    assert resumed["attempt"]["number"] == 2
    assert 0 < resumed["attempt"]["stored_before"] <= SIZE
    assert (resumed["attempt"]["stored_before"] == SIZE) == (batches > 1000)
    assert [one["inference"]["tried_in_an_earlier_run"] for one in (facts, resumed)] == [False, True]
    varying = {"tokenizing_seconds", "tried_in_an_earlier_run"}
    assert {name: fact for name, fact in resumed["inference"].items() if name not in varying} == {
        name: fact for name, fact in facts["inference"].items() if name not in varying
    }


def _raise_crash(*_: object) -> None:
    raise _CrashError


def test_a_cancelled_run_hears_of_it_while_a_dtype_is_tried(
    client: Api, context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trial takes minutes with a large model, and gives no prediction meanwhile."""
    monkeypatch.setattr(model_source, "trials", Recent(1))  # no earlier test's trial is known
    run_id = request_run(client, PAPER, "sound-bfloat16")
    real = Heart.step
    steps = 0

    def cancelling(self: Heart) -> None:
        nonlocal steps
        steps += 1
        if steps == 3:
            ok(client.post(f"/v1/reproductions/{run_id}/cancel"))
            self.beat()
        real(self)

    monkeypatch.setattr(Heart, "step", cancelling)
    assert reproduce_next(context)
    run = ok(client.get(f"/v1/reproductions/{run_id}"))
    assert (run["state"], run["progress"]["done"], steps) == ("cancelled", 0, 3)
    with context.database.unit_of_work() as session:
        assert session.scalar(text("SELECT count(*) FROM predictions")) == 0
