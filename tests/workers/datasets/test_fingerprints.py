import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workers.split_files import NLI, Rows, data_spec, json_lines, nli_rows, parquet, tsv
from workers.datasets.fingerprints import content_fingerprint
from workers.datasets.load import parse_split

pytestmark = pytest.mark.worker

_CELL = st.text(st.characters(codec="utf-8", exclude_characters="\t\n\r"), max_size=30)
_ROWS = st.lists(st.tuples(_CELL, _CELL, st.integers(0, 2)), min_size=1, max_size=12)
_WRITERS: dict[str, Callable[[Rows], bytes]] = {"x.parquet": parquet, "x.jsonl": json_lines, "x.tsv": tsv}


def _fingerprint(name: str, rows: Rows, **changes: Any) -> str:  # noqa: ANN401 - fields of a spec
    return data_spec(name, _WRITERS[name](rows), size=len(rows), **changes).fingerprint


@given(_ROWS)
@settings(deadline=None)  # the first example also pays for pyarrow's own start
def test_the_same_rows_have_one_fingerprint_in_every_format(rows: list[tuple[str, str, int]]) -> None:
    table = [{"idx": 7 * i, "premise": a, "hypothesis": b, "label": c} for i, (a, b, c) in enumerate(rows)]
    assert len({_fingerprint(name, table) for name in _WRITERS}) == 1


@given(_ROWS)
@settings(deadline=None)  # the first example also pays for pyarrow's own start
def test_what_is_read_is_what_was_written(rows: list[tuple[str, str, int]]) -> None:
    table = [{"idx": i, "premise": a, "hypothesis": b, "label": c} for i, (a, b, c) in enumerate(rows)]
    for name, write in _WRITERS.items():
        contents = write(table)
        split = parse_split(data_spec(name, contents, size=len(rows)), contents, name, "")
        assert list(zip(split.texts, split.text_pairs or [], split.labels.tolist(), strict=True)) == rows


def test_label_names_in_a_file_mean_their_indices() -> None:
    rows = nli_rows(6)
    named = [row | {"label": NLI[row["label"]].upper()} for row in rows]
    assert {_fingerprint(name, table) for name in _WRITERS for table in (rows, named)} == {
        _fingerprint("x.jsonl", rows)
    }


@given(st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3)), min_size=1, max_size=4), st.data())
def test_moving_a_character_across_a_border_changes_it(pairs: list[tuple[str, str]], data: st.DataObject) -> None:
    ids = [str(row) for row in range(len(pairs))]
    texts, seconds = [a for a, _ in pairs], [b for _, b in pairs]
    labels = np.zeros(len(pairs), dtype=np.int16)
    try:
        before = content_fingerprint(ids, texts, seconds, labels, NLI)
    except UnicodeEncodeError:
        return
    row = data.draw(st.integers(0, len(pairs) - 1))
    texts[row], seconds[row] = texts[row] + seconds[row][:1], seconds[row][1:]
    after = content_fingerprint(ids, texts, seconds, labels, NLI)
    assert (before == after) == (pairs[row] == (texts[row], seconds[row]))


def test_everything_it_states_matters() -> None:
    labels = np.array([0, 1], dtype=np.int16)
    ids, texts, seconds = ["0", "1"], ["a", "b"], ["c", "d"]
    variants = [
        content_fingerprint(ids, texts, seconds, labels, NLI),
        content_fingerprint(["0", "2"], texts, seconds, labels, NLI),
        content_fingerprint(ids, ["a", "e"], seconds, labels, NLI),
        content_fingerprint(ids, texts, ["c", "e"], labels, NLI),
        content_fingerprint(ids, texts, None, labels, NLI),
        content_fingerprint(ids, texts, seconds, labels[::-1], NLI),
        content_fingerprint(ids, texts, seconds, labels, NLI[::-1]),
        content_fingerprint(ids[:1], texts[:1], seconds[:1], labels[:1], NLI),
    ]
    assert len(set(variants)) == len(variants)
    assert all(re.fullmatch(r"[0-9a-f]{64}", variant) for variant in variants)


def test_it_does_not_change_from_release_to_release() -> None:
    assert (
        content_fingerprint(["7"], ["Grüße "], ["½"], np.array([2], dtype=np.int16), NLI)
        == "2bd0515c5ac70492e2ae597b0cbf74fb1bb64905ef15ec0ebbed1bb0f01bf1d4"
    )
