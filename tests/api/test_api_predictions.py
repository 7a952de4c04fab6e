import csv
import io
import json
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.verdicts.errors import NotAcceptableError
from app.verdicts.predictions import CSV, JSONL, PARQUET, negotiate
from tests.api.helpers import PAPER, SPLIT, Api, Json, ok, predictions_body, refused

LABELS = list(SPLIT)
NASTY = (
    "=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", 'quo"ted', "com,ma", "line\nbreak", "'", "Größe 🧪", " ", "=",
)  # fmt: skip


def post(api: Api, predictions: list[Json], **evidence: Any) -> str:  # noqa: ANN401  # fields of the evidence
    """Post predictions; the address of what is kept of them."""
    body = predictions_body([], **evidence)
    body["evidence"]["predictions"] = predictions
    verdict = ok(api.post(f"/v1/papers/{PAPER}/verdicts", json=body), 201)
    return f"/v1/verdicts/{verdict['id']}/predictions"


@pytest.fixture
def nasty(api: Api) -> str:
    logits = [[2.5, -1.25, 0.1], None]
    return post(
        api,
        [
            {"id": one, "gold": LABELS[i % 3], "predicted": LABELS[0], "logits": logits[i % 2]}
            for i, one in enumerate(NASTY)
        ],
    )


def rows_of_nasty() -> list[Json]:
    return [
        {
            "row": i,
            "id": one,
            "gold": LABELS[i % 3],
            "predicted": LABELS[0],
            "correct": i % 3 == 0,
            "logits": [2.5, -1.25, pytest.approx(0.1)] if i % 2 == 0 else None,
        }
        for i, one in enumerate(NASTY)
    ]


def test_json_lines(api: Api, nasty: str) -> None:
    for accept in ("", "*/*", JSONL, "application/x-ndjson", "application/json;q=0.9, application/*;q=0.1"):
        response = api.get(nasty, headers={"Accept": accept})
        assert response.headers["content-type"] == JSONL
        assert [json.loads(line) for line in response.text.split("\n")[:-1]] == rows_of_nasty()
    assert '"Größe 🧪"' in response.text
    assert list(json.loads(response.text.split("\n")[0])) == ["row", "id", "gold", "predicted", "correct", "logits"]


def test_csv_is_safe_to_open_in_a_spreadsheet(api: Api, nasty: str) -> None:
    response = api.get(nasty, headers={"Accept": CSV})
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    header, *rows = csv.reader(io.StringIO(response.text, newline=""))
    assert header == ["row", "id", "gold", "predicted", "correct", "logits"]
    for row, expected in zip(rows, rows_of_nasty(), strict=True):
        number, name, gold, predicted, correct, logits = row
        assert name[0] not in "=+-@\t\r\n"
        assert name.removeprefix("'") == expected["id"].removeprefix("'")
        assert (int(number), gold, predicted) == (expected["row"], expected["gold"], expected["predicted"])
        assert (correct == "true") == expected["correct"]
        assert [float(one) for one in logits.split()] == (expected["logits"] or [])


def test_parquet_has_the_same_rows(api: Api, nasty: str) -> None:
    for accept in (PARQUET, "application/parquet"):
        response = api.get(nasty, headers={"Accept": accept})
        assert response.headers["content-type"] == PARQUET
        table = pq.read_table(io.BytesIO(response.content))
        assert table.to_pylist() == rows_of_nasty()


def test_each_format_has_a_tag_of_its_own_and_names_what_it_varies_by(api: Api, nasty: str) -> None:
    tags = {}
    for accept in (JSONL, CSV, PARQUET):
        response = api.get(nasty, headers={"Accept": accept})
        tags[accept] = response.headers["etag"]
        assert response.headers["vary"] == "Accept, Accept-Encoding"
        again = api.get(nasty, headers={"Accept": accept, "If-None-Match": tags[accept]})
        assert (again.status_code, again.content) == (304, b"")
        assert (again.headers["etag"], again.headers["vary"]) == (tags[accept], "Accept, Accept-Encoding")
        head = api.head(nasty, headers={"Accept": accept})
        assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", tags[accept])
    assert len(set(tags.values())) == 3
    assert api.get(nasty, headers={"Accept": CSV, "If-None-Match": tags[JSONL]}).status_code == 200


def test_other_formats_are_not_acceptable(api: Api, nasty: str) -> None:
    for accept in ("application/json", "image/png", "text/html, application/xml", "*/*;q=0", f"{JSONL};q=0", "x"):
        problem = refused(api.get(nasty, headers={"Accept": accept}), 406, "not_acceptable")
        assert all(media in problem["detail"] for media in (JSONL, CSV, PARQUET))


def test_accept_on_several_lines_is_one_list(api: Api, nasty: str) -> None:
    headers = [("Accept", "image/png"), ("Accept", CSV)]
    assert api.get(nasty, headers=headers).headers["content-type"].startswith(CSV)


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("", JSONL),
        (" , ", JSONL),
        ("*/*", JSONL),
        ("text/*", CSV),
        ("TEXT/CSV", CSV),
        ("application/parquet, text/csv;q=0.9", PARQUET),
        ("text/csv;q=0.1, application/vnd.apache.parquet;q=0.2, application/json", PARQUET),
        ("application/jsonl;q=0, */*", CSV),
        ("application/*;q=0.5, text/csv;q=0.4", JSONL),
        ("*/*;q=0.1, text/*;q=0.3", CSV),
        ("application/jsonl;q=2, text/csv;q=0.1", CSV),
        ("application/jsonl;q=nan, text/csv;q=0.001", CSV),
        ("text/csv;charset=utf-8;q=0.7, application/jsonl;q=0.6", CSV),
    ],
)
def test_negotiation(accept: str, media: str) -> None:
    assert negotiate(accept) == media


@given(st.text() | st.lists(st.sampled_from([JSONL, CSV, PARQUET, "*/*", "q=0", ";q=1", ";", ","])).map("".join))
def test_any_accept_is_answered_or_refused(accept: str) -> None:
    try:
        assert negotiate(accept) in {JSONL, CSV, PARQUET}
    except NotAcceptableError:
        assert accept.strip(" ,")


def test_predictions_of_counts_are_none(api: Api) -> None:
    path = f"/v1/verdicts/{api.post_verdict()['id']}/predictions"
    assert api.get(path).content == b""
    assert api.get(path, headers={"Accept": CSV}).text == "row,id,gold,predicted,correct,logits\r\n"
    assert pq.read_table(io.BytesIO(api.get(path, headers={"Accept": PARQUET}).content)).num_rows == 0


def test_many_predictions_come_whole_and_in_order(api: Api) -> None:
    sent = [{"id": f"i{i}", "gold": LABELS[i % 3], "predicted": LABELS[i % 3]} for i in range(5001)]
    path = post(api, sent)
    assert [json.loads(line)["id"] for line in api.get(path).text.splitlines()] == [one["id"] for one in sent]
    table = pq.read_table(io.BytesIO(api.get(path, headers={"Accept": PARQUET}).content))
    assert table.column("row").to_pylist() == list(range(5001))


def test_logits_are_kept_as_float32(api: Api) -> None:
    largest, smallest, denormal = 3.4028234663852886e38, 1.1754943508222875e-38, 1e-45
    sent = [
        {"id": "a", "gold": LABELS[0], "predicted": LABELS[0], "logits": [largest, smallest, -largest]},
        {"id": "b", "gold": LABELS[0], "predicted": LABELS[0], "logits": [denormal, 0, -1e-300]},
        {"id": "c", "gold": LABELS[0], "predicted": LABELS[0], "logits": [1, 1, 1]},
    ]
    kept = [json.loads(line)["logits"] for line in api.get(post(api, sent)).text.splitlines()]
    assert kept[0] == pytest.approx([largest, smallest, -largest], rel=1e-6)
    assert [np.float32(one) for one in kept[1]] == [np.float32(denormal), 0, 0]
    assert kept[1][0] > 0
    assert kept[2] == [1, 1, 1]
