import csv
import json
import subprocess
import sys
import tomllib
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.protocol.driver import DriverSpec
from app.protocol.errors import DriverError
from tests.workers.split_files import NLI, json_lines, nli_rows, write_split
from workers.evaluation.run import Run, open_run

pytestmark = pytest.mark.worker

_RUNS = [(seed, split) for seed in range(1, 11) for split in ("matched", "mismatched")]


@pytest.fixture(scope="module")
def claims(catalogue: Path) -> dict[tuple[int, str], dict[str, str]]:
    with (catalogue / "data" / "bert_base_instability_claims.csv").open() as lines:
        return {(int(line["seed"]), line["set"]): line for line in csv.DictReader(lines)}


@pytest.mark.parametrize(("seed", "split"), _RUNS)
def test_the_released_predictions_give_the_claimed_count(
    catalogue: Path, tmp_path: Path, claims: dict[tuple[int, str], dict[str, str]], seed: int, split: str
) -> None:
    path = catalogue / "drivers" / f"bert-base-mnli-seed{seed:02d}-{split}.toml"
    spec = DriverSpec.model_validate(tomllib.loads(path.read_text()))
    run = open_run(spec, catalogue=catalogue, cache=tmp_path)
    correct = sum(int((batch.gold == batch.predicted).sum()) for batch in run.batches())
    claim = claims[seed, split]
    assert (correct, run.total) == (int(claim["correct"]), int(claim["n"]))
    assert repr(correct / run.total) == claim["claimed_accuracy"] == spec.claim.reported_value
    facts = run.facts()
    assert not facts["model"]["model_was_run"]
    assert facts["inference"] == {"backend": "none", "answered": run.total, "logits_checked": True}


_ANSWERS: list[dict[str, Any]] = [
    {"idx": 100 + row, "pred": row % 3, "logits": [float(label == row % 3) for label in range(3)]} for row in range(30)
]


def _open(root: Path, answers: list[dict[str, Any]], **model: Any) -> Run:  # noqa: ANN401 - fields of a spec
    contents = json_lines(answers)
    (root / "p.jsonl").write_bytes(contents)
    claim = {"section": "s", "row": "r", "column": "c", "reported_value": "50.0", "unit": "percent"}
    released = {"kind": "predictions", "source": {"path": "p.jsonl"}, "sha256": sha256(contents).hexdigest()}
    spec = {
        "slug": "toy",
        "version": "1.0.0",
        "description": "A toy.",
        "paper": "draft:toy",
        "claim": claim | {"metric": "accuracy", "quoted_text": "50.0"},
        "model": released | {"labels": NLI, "logits_column": "logits"} | model,
        "data": write_split(root, nli_rows(30)),
        "protocol": {"model": "released_predictions", "data": "full_split", "metric": "same", "inference": "same"},
        "decision": {"margin": 0.01},
    }
    return open_run(DriverSpec.model_validate(spec), catalogue=root, cache=root)


def _code(root: Path, answers: list[dict[str, Any]], **model: Any) -> str:  # noqa: ANN401 - as above
    with pytest.raises(DriverError) as caught:
        _open(root, answers, **model)
    assert not caught.value.retryable
    return caught.value.code


def test_predictions_are_joined_by_id_whatever_their_order(tmp_path: Path) -> None:
    extra = {"idx": 7, "pred": 0, "logits": [1.0, 0.0, 0.0]}
    run = _open(tmp_path, [extra, *reversed(_ANSWERS)])
    batches = list(run.batches(frozenset({0, 5})))
    assert [row for batch in batches for row in batch.rows.tolist()] == [*range(1, 5), *range(6, 30)]
    for batch in batches:
        np.testing.assert_array_equal(batch.predicted, batch.gold)
        assert batch.item_ids == [str(100 + row) for row in batch.rows]
        assert batch.logits is not None
        np.testing.assert_array_equal(batch.logits.argmax(axis=1), batch.gold)


def test_another_label_order_is_brought_into_the_data_sets(tmp_path: Path) -> None:
    theirs = ["contradiction", "entailment", "neutral"]
    answers = [
        {
            "idx": one["idx"],
            "pred": theirs.index(NLI[one["pred"]]),
            "logits": [one["logits"][NLI.index(name)] for name in theirs],
        }
        for one in _ANSWERS
    ]
    for batch in _open(tmp_path, answers, labels=theirs).batches():
        np.testing.assert_array_equal(batch.predicted, batch.gold)
        assert batch.logits is not None
        np.testing.assert_array_equal(batch.logits.argmax(axis=1), batch.gold)


def test_every_example_needs_exactly_one_prediction(tmp_path: Path) -> None:
    assert _code(tmp_path, _ANSWERS[1:]) == "predictions_incomplete"
    assert _code(tmp_path, [*_ANSWERS, _ANSWERS[3]]) == "predictions_incomplete"
    assert _code(tmp_path, [*_ANSWERS[1:], _ANSWERS[3]]) == "predictions_incomplete"
    assert _code(tmp_path, []) == "predictions_incomplete"


def test_logits_must_say_what_the_prediction_says(tmp_path: Path) -> None:
    for logits in ([0.0, 1.0, 2.0], [float("inf"), 2.0, 1.0]):
        broken = [_ANSWERS[0] | {"pred": 1, "logits": logits}, *_ANSWERS[1:]]
        assert _code(tmp_path, broken) in {"predictions_inconsistent", "predictions_invalid"}
    tied = [_ANSWERS[0] | {"logits": [2.0, 2.0, 1.0]}, *_ANSWERS[1:]]
    assert _open(tmp_path, tied).total == 30


def test_labels_that_do_not_fit(tmp_path: Path) -> None:
    assert _code(tmp_path, _ANSWERS, labels=["entailment", "neutral", "other"]) == "label_names_unknown"
    two = [one | {"pred": 0, "logits": [1.0, 0.0]} for one in _ANSWERS]
    assert _code(tmp_path, two, labels=["entailment", "neutral"]) == "predictions_labels_mismatch"


def test_opening_such_a_run_needs_no_torch() -> None:
    script = "import sys, workers.evaluation.run; print([m for m in ('torch', 'transformers') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=600)
    assert json.loads(done.stdout) == []
