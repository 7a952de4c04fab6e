from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.protocol.driver import FolderSource, ReleasedPredictions
from app.protocol.errors import DriverError
from tests.workers.split_files import NLI, json_lines, parquet, tsv
from workers.datasets.predictions import load_predictions

pytestmark = pytest.mark.worker

_ROWS = [
    {"set": "dev", "seed": 1, "idx": 5, "pred": 2, "logits": [0.0, 0.5, 1.5]},
    {"set": "dev", "seed": 2, "idx": 5, "pred": 0, "logits": [9.0, 0.5, 1.5]},
    {"set": "dev", "seed": 1, "idx": 6, "pred": 1, "logits": [0.0, 0.5, 0.25]},
    {"set": "test", "seed": 1, "idx": 6, "pred": 0, "logits": [1.0, 0.5, 0.25]},
]


def _write(folder: Path, name: str, contents: bytes, **changes: Any) -> ReleasedPredictions:  # noqa: ANN401 - a spec's
    (folder / name).write_bytes(contents)
    fields = {
        "kind": "predictions",
        "source": FolderSource(path=name),
        "sha256": sha256(contents).hexdigest(),
        "filters": {"set": "dev", "seed": 1},
        "labels": NLI,
    } | changes
    return ReleasedPredictions.model_validate(fields)


@pytest.mark.parametrize("name", ["p.parquet", "p.jsonl", "p.tsv"])
def test_the_filters_keep_their_rows_in_every_format(tmp_path: Path, name: str) -> None:
    writer = {"p.parquet": parquet, "p.jsonl": json_lines, "p.tsv": tsv}[name]
    column = None if name == "p.tsv" else "logits"
    predictions = load_predictions(
        _write(tmp_path, name, writer(_ROWS), logits_column=column), root=tmp_path, cache=tmp_path
    )
    assert predictions.ids == ["5", "6"]
    assert predictions.predicted.tolist() == [2, 1]
    if column:
        assert predictions.logits is not None
        assert predictions.logits.dtype == np.float32
        assert predictions.logits.tolist() == [[0.0, 0.5, 1.5], [0.0, 0.5, 0.25]]


def test_classes_may_be_named(tmp_path: Path) -> None:
    rows = [row | {"pred": NLI[int(str(row["pred"]))].title()} for row in _ROWS]
    spec = _write(tmp_path, "p.jsonl", json_lines(rows))
    assert load_predictions(spec, root=tmp_path, cache=tmp_path).predicted.tolist() == [2, 1]


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"pred": 3}, {}),
        ({"pred": None}, {}),
        ({"pred": "perhaps"}, {}),
        ({"idx": None}, {}),
        ({"idx": 0.5}, {}),
        ({"logits": [1.0, 2.0]}, {"logits_column": "logits"}),
        ({"logits": None}, {"logits_column": "logits"}),
        ({"logits": ["a", "b", "c"]}, {"logits_column": "logits"}),
        ({}, {"id_column": "id"}),
        ({}, {"filters": {"fold": 1}}),
    ],
)
def test_unusable_rows_are_refused(tmp_path: Path, change: dict[str, Any], fields: dict[str, Any]) -> None:
    spec = _write(tmp_path, "p.jsonl", json_lines([_ROWS[0] | change, *_ROWS[1:]]), **fields)
    with pytest.raises(DriverError) as caught:
        load_predictions(spec, root=tmp_path, cache=tmp_path)
    assert caught.value.code == "predictions_invalid"


def test_another_file_than_the_pinned_one(tmp_path: Path) -> None:
    spec = _write(tmp_path, "p.jsonl", json_lines(_ROWS), sha256="1" * 64)
    with pytest.raises(DriverError, match="1" * 64) as caught:
        load_predictions(spec, root=tmp_path, cache=tmp_path)
    assert caught.value.code == "predictions_digest_mismatch"


def test_no_file(tmp_path: Path) -> None:
    spec = _write(tmp_path, "p.jsonl", b"").model_copy(update={"source": FolderSource(path="q.jsonl")})
    with pytest.raises(DriverError) as caught:
        load_predictions(spec, root=tmp_path, cache=tmp_path)
    assert caught.value.code == "predictions_missing"
