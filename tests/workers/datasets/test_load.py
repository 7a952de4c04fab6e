import resource
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.protocol.driver import DataSpec, FolderSource
from app.protocol.errors import DriverError
from tests.workers.split_files import NLI, data_spec, json_lines, nli_rows, parquet, tsv, write_split
from workers.datasets import files, tables
from workers.datasets.load import load_split

pytestmark = pytest.mark.worker


def _load(spec: DataSpec, root: Path) -> str:
    """The code with which loading fails."""
    with pytest.raises(DriverError) as caught:
        load_split(spec, root=root, cache=root / "cache")
    assert caught.value.message.endswith(".")
    return caught.value.code


def _refused(tmp_path: Path, name: str, contents: bytes, *, size: int, **changes: Any) -> str:  # noqa: ANN401 - a spec's
    (tmp_path / name).write_bytes(contents)
    return _load(data_spec(name, contents, size=size, fingerprint="0" * 64, **changes), tmp_path)


def test_a_shipped_split_is_loaded_in_file_order(catalogue: Path, tmp_path: Path) -> None:
    spec = DataSpec(
        source=FolderSource(path="data/mnli_validation_matched.parquet"),
        name="MNLI",
        split="validation_matched",
        fingerprint="257ce0ec9cd5c41d1d0498c0e2126773bbf7bd37cef99b76f35ed6344449bd6c",
        size=9815,
        id_column="idx",
        labels=NLI,
    )
    split = load_split(spec, root=catalogue, cache=tmp_path)
    assert split.label_counts == (3479, 3123, 3213)
    assert split.ids[:3] == ["0", "1", "2"]
    assert split.texts[0] == "The new rights are nice enough"
    assert split.file_sha256 == "efb231e0f610636cda08e637ea3ab77a2732c21883187dcc8b95b0c3e601f1c3"
    assert split.groups is None


def test_tsv_quotes_are_text_and_groups_are_read(tmp_path: Path) -> None:
    contents = b'index\tgenre\ts1\ts2\tgold\n0\tfiction\t"He said\tso"\tneutral\n'
    contents += b"1\tslate\tb\x0bc\xe2\x80\xa8d\te\tentailment\n"
    (tmp_path / "dev.tsv").write_bytes(contents)
    columns = {"id_column": "index", "text_column": "s1", "text_pair_column": "s2", "label_column": "gold"}
    spec = data_spec("dev.tsv", contents, size=2, group_column="genre", **columns)
    split = load_split(spec, root=tmp_path, cache=tmp_path)
    assert split.texts == ['"He said', "b\x0bc\u2028d"]
    assert split.text_pairs == ['so"', "e"]
    assert split.groups == ["fiction", "slate"]
    assert split.labels.tolist() == [1, 0]


def test_carriage_returns_end_lines_only_where_the_header_has_one(tmp_path: Path) -> None:
    windows = tsv(nli_rows(4)).replace(b"\n", b"\r\n")
    assert data_spec("x.tsv", windows, size=4).fingerprint == data_spec("x.tsv", tsv(nli_rows(4)), size=4).fingerprint
    contents = b"idx\tlabel\tpremise\n0\t0\tkept\r\n"
    (tmp_path / "y.tsv").write_bytes(contents)
    spec = data_spec("y.tsv", contents, size=1, text_pair_column=None)
    assert load_split(spec, root=tmp_path, cache=tmp_path).texts == ["kept\r"]


def test_without_an_id_column_the_row_number_is_the_id(tmp_path: Path) -> None:
    spec = write_split(tmp_path, nli_rows(3), id_column=None)
    assert load_split(spec, root=tmp_path, cache=tmp_path).ids == ["0", "1", "2"]


def test_an_absolute_path_is_used_as_it_is(tmp_path: Path) -> None:
    spec = write_split(tmp_path, nli_rows(3))
    outside = spec.model_copy(update={"source": FolderSource(path=str(tmp_path / "toy.jsonl"))})
    assert len(load_split(outside, root=tmp_path / "elsewhere", cache=tmp_path)) == 3


def test_digests_that_are_not_the_pinned_ones(tmp_path: Path) -> None:
    spec = write_split(tmp_path, nli_rows(3))
    for field in ("sha256", "fingerprint"):
        with pytest.raises(DriverError, match=f"pinned {'1' * 64}") as caught:
            load_split(spec.model_copy(update={field: "1" * 64}), root=tmp_path, cache=tmp_path)
        assert caught.value.code == "dataset_fingerprint_mismatch"
        assert f"found {getattr(spec, field)}" in caught.value.message
        assert not caught.value.retryable


@pytest.mark.parametrize(
    "path", ["gone.jsonl", ".", "../toy.jsonl", "link.jsonl", "loop.jsonl", "toy.jsonl/x", "a" * 300]
)
def test_a_file_that_is_not_there_or_not_inside(tmp_path: Path, path: str) -> None:
    root = tmp_path / "catalogue"
    root.mkdir()
    spec = write_split(tmp_path, nli_rows(3))
    (root / "toy.jsonl").write_bytes(b"")
    (root / "link.jsonl").symlink_to(tmp_path / "toy.jsonl")
    (root / "loop.jsonl").symlink_to(root / "loop.jsonl")
    assert _load(spec.model_copy(update={"source": FolderSource(path=path)}), root) == "dataset_missing"


def test_a_link_that_stays_inside_is_followed(tmp_path: Path) -> None:
    spec = write_split(tmp_path, nli_rows(3))
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "toy.jsonl")
    linked = spec.model_copy(update={"source": FolderSource(path="link.jsonl")})
    assert len(load_split(linked, root=tmp_path, cache=tmp_path)) == 3


_GOOD = nli_rows(3)


@pytest.mark.parametrize(
    ("name", "contents"),
    [
        pytest.param("x.csv", json_lines(_GOOD), id="unknown ending"),
        pytest.param("x.parquet", parquet(_GOOD)[:-9], id="truncated parquet"),
        pytest.param("x.parquet", parquet(_GOOD)[:200] + b"\0" * 64 + parquet(_GOOD)[264:], id="damaged parquet"),
        pytest.param("x.parquet", b"", id="empty parquet"),
        pytest.param("x.parquet", json_lines(_GOOD), id="not a parquet"),
        pytest.param("x.jsonl", json_lines(_GOOD)[:-9], id="truncated json"),
        pytest.param("x.jsonl", b"", id="empty json"),
        pytest.param("x.jsonl", b"[1]\n" * 3, id="not objects"),
        pytest.param("x.jsonl", b"[" * 100_000, id="deep json"),
        pytest.param("x.jsonl", json_lines(_GOOD).replace(b'"label": 1', b'"label": NaN'), id="nan"),
        pytest.param("x.jsonl", json_lines(_GOOD).replace(b'"label": 1', b'"label": 1.0'), id="fractional label"),
        pytest.param("x.jsonl", json_lines(_GOOD).replace(b'"label": 1', b'"label": true'), id="truth value"),
        pytest.param("x.jsonl", json_lines(_GOOD).replace(b'"label": 1', b'"label": null'), id="null label"),
        pytest.param("x.jsonl", json_lines(_GOOD).replace(b'"label": 1', b'"label": 3'), id="label too high"),
        pytest.param("x.jsonl", json_lines(_GOOD).replace(b'"label": 1', b'"label": -1'), id="label too low"),
        pytest.param("x.jsonl", json_lines(_GOOD).replace(b'"label": 1', b'"label": "maybe"'), id="unknown label"),
        pytest.param("x.jsonl", json_lines(_GOOD).replace(b'"label": 1', b'"lable": 1'), id="missing cell"),
        pytest.param("x.jsonl", json_lines([row | {"premise": None} for row in _GOOD]), id="null text"),
        pytest.param("x.jsonl", json_lines([row | {"premise": 3} for row in _GOOD]), id="number as text"),
        pytest.param("x.jsonl", json_lines([row | {"premise": "\ud800"} for row in _GOOD]), id="lone surrogate"),
        pytest.param("x.jsonl", json_lines([row | {"idx": 1} for row in _GOOD]), id="ids repeated"),
        pytest.param("x.jsonl", json_lines([row | {"idx": 1.5} for row in _GOOD]), id="fractional id"),
        pytest.param("x.jsonl", json_lines(_GOOD).replace(b"premise", b"premise\xff"), id="not UTF-8"),
        pytest.param("x.jsonl", json_lines(_GOOD[:2]), id="a row too few"),
        pytest.param("x.jsonl", json_lines(nli_rows(4)), id="a row too many"),
        pytest.param("x.tsv", tsv(_GOOD).replace(b"\t2\n", b"\n"), id="ragged"),
        pytest.param("x.tsv", tsv(_GOOD).replace(b"label", b"lable"), id="missing column"),
        pytest.param("x.tsv", tsv([row | {"label": "9" * 9000} for row in _GOOD]), id="absurd number"),
        pytest.param("x.parquet", parquet([row | {"premise": None} for row in _GOOD]), id="null column"),
        pytest.param("x.parquet", parquet([row | {"label": [1]} for row in _GOOD]), id="nested label"),
        pytest.param("x.parquet", parquet([{"idx": 1}]), id="missing columns"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, name: str, contents: bytes) -> None:
    assert _refused(tmp_path, name, contents, size=3) == "dataset_invalid"


def test_labels_that_differ_only_in_case_are_refused(tmp_path: Path) -> None:
    assert _refused(tmp_path, "x.jsonl", json_lines(_GOOD), size=3, labels=("a", "A", "b")) == "dataset_invalid"


def test_a_small_file_that_grows_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_DECODED_BYTES", 1 << 20)
    contents = parquet([row | {"premise": "x" * 1_000_000} for row in _GOOD])
    assert len(contents) < 100_000
    assert _refused(tmp_path, "x.parquet", contents, size=3) == "dataset_too_large"


def test_a_kilobyte_that_refers_to_gigabytes_is_stopped(tmp_path: Path) -> None:
    # 9,000 references to one text of a megabyte; without the count they became 9 GB of Python strings.
    kinds = {"premise": pa.DictionaryArray.from_arrays(pa.array([0] * 9000, pa.int32()), pa.array(["x" * 1_000_000]))}
    numbers = {name: pa.array(range(9000)) for name in ("idx", "label")}
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(kinds | numbers), sink, compression="zstd")
    contents = sink.getvalue().to_pybytes()
    assert len(contents) < 200_000
    before = peak_bytes()
    assert _refused(tmp_path, "x.parquet", contents, size=9000, text_pair_column=None) == "dataset_too_large"
    assert peak_bytes() - before < 1 << 30


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_a_file_that_says_itself_that_it_is_too_large_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "MAX_DECODED_BYTES", 1 << 20)
    monkeypatch.setattr(tables, "_decoded_bytes", None)  # never comes to be called
    contents = parquet([row | {"label": [0.0] * 400_000} for row in _GOOD])
    assert len(contents) < 100_000
    assert _refused(tmp_path, "x.parquet", contents, size=3) == "dataset_too_large"


@pytest.mark.parametrize("cell", [{"a": 1}, [["x"]], ["x"], [{"a": 1}]])
def test_columns_that_no_driver_reads_are_not_unpacked(tmp_path: Path, cell: object) -> None:
    contents = parquet([row | {"premise": cell} for row in _GOOD])
    assert _refused(tmp_path, "x.parquet", contents, size=3) == "dataset_invalid"


def test_a_large_file_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 100)
    assert _refused(tmp_path, "x.jsonl", json_lines(_GOOD), size=3) == "dataset_too_large"


@pytest.mark.parametrize("kind", [pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_parquet_strings_of_every_kind(kind: pa.DataType) -> None:
    table = pa.Table.from_pylist(_GOOD)
    place = table.schema.get_field_index("premise")
    table = table.set_column(place, "premise", table["premise"].cast(kind))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    contents = sink.getvalue().to_pybytes()
    plain = data_spec("x.parquet", parquet(_GOOD), size=3)
    assert data_spec("x.parquet", contents, size=3).fingerprint == plain.fingerprint
