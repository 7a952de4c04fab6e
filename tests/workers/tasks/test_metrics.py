"""From the request to the verdict for tasks of one text and of two, on real rows, for each metric of papers."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from app.statistics.metrics import MetricName, metric_of
from tests.api.helpers import Api, Json, ok
from tests.factories.drivers import Table, paper_table, write_catalogue
from tests.workers.split_files import data_spec
from tests.workers.tasks.fixtures import app, client, context, request_run, settings
from tests.workers.tiny_checkpoints import know_words, level_logits, write_checkpoint
from workers.context import WorkerContext
from workers.tasks.reproduce import reproduce_next

__all__ = ["app", "client", "context", "settings"]

pytestmark = pytest.mark.worker

SLICES = Path(__file__).parents[1] / "slices"
PAPER = "draft:tasks"
TASKS: Mapping[str, Json] = {
    "sst2": {
        "file": "sst2_dev_slice.tsv",
        "size": 28,
        "labels": ("negative", "positive"),
        "columns": {"id_column": None, "text_column": "sentence", "text_pair_column": None},
    },
    "qnli": {
        "file": "qnli_dev_slice.tsv",
        "size": 22,
        "labels": ("entailment", "not_entailment"),
        "columns": {"id_column": "index", "text_column": "question", "text_pair_column": "sentence"},
    },
}
METRICS = {"accuracy": accuracy_score, "f1": f1_score, "mcc": matthews_corrcoef}
"""As scikit-learn has them; the positive label of both tasks is the second."""


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of both tasks with a tiny checkpoint each, and a driver for each metric: whole split and slice."""
    folder = tmp_path_factory.mktemp("catalogue")
    tables = [table for name in TASKS for table in _drivers(folder, name)]
    return write_catalogue(folder, tables, [paper_table(PAPER)])


def _drivers(folder: Path, name: str) -> list[Table]:
    task = TASKS[name]
    contents = (SLICES / task["file"]).read_bytes()
    (folder / task["file"]).write_bytes(contents)
    data = data_spec(task["file"], contents, size=task["size"], labels=task["labels"], **task["columns"])
    rows = [dict(zip(header, row, strict=True)) for header, *lines in [_cells(contents)] for row in lines]
    texts = [row[data.text_column] for row in rows]
    pairs = None if data.text_pair_column is None else [row[data.text_pair_column] for row in rows]
    model = write_checkpoint(folder / name, architecture="bert", labels=task["labels"])
    know_words(model, texts + (pairs or []))
    level_logits(model, texts, pairs)
    stated = data.model_dump(mode="json", exclude_none=True) | {"text_pair_column": data.text_pair_column or ""}
    return [
        _driver(name, stated, metric, part)
        for metric in METRICS
        for part in ({"kind": "full"}, {"kind": "simple", "size": task["size"] - 4})
    ]


def _cells(contents: bytes) -> list[list[str]]:
    return [line.split("\t") for line in contents.decode().splitlines()]


def _driver(name: str, data: Json, metric: str, part: Json) -> Table:
    cell = {"section": "Table 1", "row": part["kind"], "column": f"{name} {metric}", "quoted_text": "Ours 50.0"}
    data_axis = "full_split" if part["kind"] == "full" else "probability_slice"
    return {
        "slug": f"{name}-{metric}-{part['kind']}",
        "version": "0.1.0",
        "description": "A tiny checkpoint.",
        "paper": PAPER,
        "claim": cell | {"reported_value": "50.0", "unit": "percent", "metric": metric},
        "model": {"kind": "sequence-classification", "source": {"path": name}, "max_length": 64},
        "data": data,
        "slice": part,
        "metric": metric,
        **({"positive_label": data["labels"][1]} if metric == "f1" else {}),
        "inference": {"batch_tokens": 256},
        "protocol": {"model": "exact_weights", "data": data_axis, "metric": "same", "inference": "same"},
        "decision": {"margin": 0.02, "bootstrap_seed": 7},
    }


def _measured(client: Api, verdict_id: str, labels: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    lines = client.get(f"/v1/verdicts/{verdict_id}/predictions").text.splitlines()
    rows = [json.loads(line) for line in lines]
    return tuple(np.array([labels.index(row[side]) for row in rows]) for side in ("gold", "predicted"))  # type: ignore[return-value]


@pytest.mark.parametrize("name", TASKS)
def test_a_task_gives_verdicts_on_each_metric(name: str, client: Api, context: WorkerContext) -> None:
    wanted = [(metric, part) for metric in METRICS for part in ("full", "simple")]
    runs = [request_run(client, PAPER, f"{name}-{metric}-{part}") for metric, part in wanted]
    while reproduce_next(context):
        pass
    for run_id, (metric, part) in zip(runs, wanted, strict=True):
        run = ok(client.get(f"/v1/reproductions/{run_id}"))
        assert (run["state"], run["error"]) == ("succeeded", None)
        verdict = ok(client.get(f"/v1/verdicts/{run['verdict_id']}"))
        gold, predicted = _measured(client, run["verdict_id"], TASKS[name]["labels"])
        assert len(gold) == TASKS[name]["size"] - (4 if part == "simple" else 0)
        assert set(predicted.tolist()) == {0, 1}
        expected = METRICS[metric](gold, predicted)
        decision = verdict["estimate"]
        assert (decision["metric"], verdict["claim_citation"]["reported_metric"]) == (metric, metric)
        assert verdict["score"] == pytest.approx(expected, abs=1e-12)
        low, high = decision["interval_95"]
        assert low <= verdict["score"] <= high
        assert (low == high) == (part == "full")
        # What a reader saw to the last was the same number, with the interval of new items like these.
        assert run["estimate"]["metric"] == metric
        assert run["estimate"]["value"] == pytest.approx(expected, abs=1e-12)
        assert run["estimate"]["interval_95"][0] < expected < run["estimate"]["interval_95"][1]
        assert (run["estimate"]["method"] == "bayesian_bootstrap") == (metric != "accuracy")
        _posted_alike(client, run, verdict, gold, predicted, TASKS[name]["labels"])


def _posted_alike(
    client: Api, run: Json, verdict: Json, gold: np.ndarray, predicted: np.ndarray, labels: tuple[str, ...]
) -> None:
    """An agent that posts these predictions, or their confusion matrix, is answered with the same measurement."""
    split = dict(zip(labels, _split_counts(client, verdict), strict=True))
    pairs = list(zip(gold.tolist(), predicted.tolist(), strict=True))
    confusion = [[sum(pair == (i, j) for pair in pairs) for j in range(2)] for i in range(2)]
    listed = [{"id": str(i), "gold": labels[a], "predicted": labels[b]} for i, (a, b) in enumerate(pairs)]
    metric = run["estimate"]["metric"]
    for part in ({"predictions": listed}, {"confusion": confusion}):
        body: dict[str, Any] = {
            "claim": run["claim_id"],
            "agent_version": "v1.0.0-agent",
            "protocol": verdict["protocol_axes"],
            "evidence": part | {"labels": list(labels), "split_label_counts": split},
        }
        if metric == "f1":
            body["positive_label"] = labels[1]
        posted = ok(client.post(f"/v1/papers/{PAPER}/verdicts", json=body), 201)
        assert posted["score"] == verdict["score"]
        assert posted["estimate"]["metric"] == metric
        if verdict["score"] in verdict["estimate"]["interval_95"]:  # the whole split leaves nothing to the seed
            assert posted["estimate"]["interval_95"] == verdict["estimate"]["interval_95"]
        matrix = ok(client.get(f"/v1/verdicts/{posted['id']}/evidence"))["confusion"]
        positive = 1 if metric == "f1" else None
        assert metric_of(MetricName(metric), positive)(matrix) == pytest.approx(posted["score"], abs=1e-12)


def _split_counts(client: Api, verdict: Json) -> list[int]:
    facts = ok(client.get(f"/v1/verdicts/{verdict['id']}/evidence"))["facts"]
    return list(facts["data"]["label_counts"])
