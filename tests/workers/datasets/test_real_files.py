"""The files of SNLI, ANLI, RTE, QNLI and SST-2 as they are: real rows of each (tests/workers/slices/README.md)."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from app.protocol.errors import DriverError
from tests.workers.split_files import NLI, data_spec
from workers.datasets.load import load_split
from workers.datasets.split import Split

pytestmark = pytest.mark.worker

SLICES = Path(__file__).parents[1] / "slices"
TWO = ("entailment", "not_entailment")
SNLI: Mapping[str, object] = {
    "id_column": "pairID",
    "text_column": "sentence1",
    "text_pair_column": "sentence2",
    "label_column": "gold_label",
    "labels": NLI,
}
FILES: Mapping[str, tuple[Mapping[str, object], tuple[int, ...], tuple[str, str, str | None]]] = {
    "snli_dev_slice.jsonl": (SNLI, (2, 1, 1), ("558665373.jpg#1r1e", "A girl wearing a maroon", "A girl is outdoors.")),
    "anli_r1_slice.jsonl": (
        {"id_column": None, "text_column": "context", "text_pair_column": "hypothesis", "labels": ("e", "n", "c")},
        (3, 4, 3),
        ("0", "The 1984 North Dakota gubernatorial election", "The incumbent candidate George A. Sinner"),
    ),
    "rte_slice.tsv": (
        {"id_column": "index", "text_column": "sentence1", "text_pair_column": "sentence2", "labels": TWO},
        (8, 4),
        ("2414", "The report catalogues 10 missed", "Ten missed opportunities"),
    ),
    "qnli_dev_slice.tsv": (
        {"id_column": "index", "text_column": "question", "text_pair_column": "sentence", "labels": TWO},
        (11, 11),
        ("5416", "How long did Phillips manage", "Mueller agreed, and Phillips"),
    ),
    "sst2_dev_slice.tsv": (
        {"id_column": None, "text_column": "sentence", "text_pair_column": None, "labels": ("negative", "positive")},
        (15, 13),
        ("0", "teen movies have really hit the skids . ", None),
    ),
}


def _read(name: str, contents: bytes, folder: Path, size: int, **columns: object) -> Split:
    (folder / name).write_bytes(contents)
    return load_split(data_spec(name, contents, size=size, **columns), root=folder, cache=folder)


@pytest.mark.parametrize("name", FILES)
def test_a_real_file_is_read_as_it_is(name: str, tmp_path: Path) -> None:
    columns, counts, (identity, first, second) = FILES[name]
    split = _read(name, (SLICES / name).read_bytes(), tmp_path, sum(counts), **columns)
    assert split.label_counts == counts
    assert split.ids[0] == identity
    assert split.texts[0].startswith(first)
    assert (split.text_pairs is None) == (second is None)
    assert split.text_pairs is None or split.text_pairs[0].startswith(second or "")


def test_pairs_that_nobody_agreed_on_are_no_part_of_snli(tmp_path: Path) -> None:
    """Its files name them "-", its Parquet copy -1."""
    rows = [json.loads(line) for line in (SLICES / "snli_dev_slice.jsonl").read_text("utf-8").splitlines()]
    rows.insert(1, rows[0] | {"pairID": "nobody-agreed", "gold_label": "-"})
    contents = "".join(json.dumps(row) + "\n" for row in rows).encode()
    split = _read("dev.jsonl", contents, tmp_path, 4, unlabelled="-", **SNLI)
    assert (split.label_counts, "nobody-agreed" in split.ids) == ((2, 1, 1), False)
    by_number = contents.replace(b'"gold_label": "-"', b'"gold_label": -1')
    assert _read("dev.jsonl", by_number, tmp_path, 4, unlabelled=-1, **SNLI).fingerprint == split.fingerprint
    with pytest.raises(DriverError, match="the label '-' is not one of"):
        _read("dev.jsonl", contents, tmp_path, 5, **SNLI)
