"""Claims from a CSV file and from a model card's model-index: all of a file's, or none."""

import csv
import io
from typing import Any, Final

import pytest
import yaml
from httpx2 import Response

from app.core.db import Database
from tests.api.helpers import PAPER, Api, Json, ok, refused, unchanged
from tests.hostile.texts import INJECTIONS

IMPORT: Final = f"/v1/papers/{PAPER}/claims:import"
HEADER: Final = "section,row,column,reported_value,unit,quoted_text,pdf_page,n_items,reported_metric,notes,force\n"
CARD: Final = """\
license: mit
model-index:
- name: ours
  results:
  - task: {type: text-classification}
    dataset: {name: MNLI, type: nyu-mll/glue, split: validation_matched}
    metrics:
    - {type: accuracy, value: 91.80, name: MNLI-m, verified: true}
    - {type: f1, value: 0.5}
  - dataset: {name: "MNLI (validation_mismatched)", config: mnli, split: validation_mismatched}
    metrics:
    - {type: Accuracy, value: "0.9"}
- name: theirs
  results:
  - dataset: {name: MNLI}
    metrics:
    - {type: accuracy, value: 88}
"""


def send(client: Api, text: str | bytes, media: str = "text/csv", address: str = IMPORT, **headers: str) -> Response:
    content = text.encode() if isinstance(text, str) else text
    return client.post(address, content=content, headers={"Content-Type": media, **headers})


def claims(client: Api) -> list[Json]:
    return list(ok(client.get(f"/v1/papers/{PAPER}/claims?limit=200"))["items"])


def errors(response: Response) -> dict[str, str]:
    """The codes of what is wrong, by field."""
    document = refused(response, 422, "claims_file_invalid")
    return {error["field"].removeprefix("body."): error["code"] for error in document["errors"]}


@pytest.fixture
def empty(client: Api) -> Api:
    client.put_paper()
    return client


def test_a_csv_file(empty: Api) -> None:
    text = (
        "\ufeff" + HEADER + 'Table 2,"Ours, large",MNLI-m,91.80,percent,"Ours ""91.80""",6,9815,,,\r\n\r\n'
        "Table 2,Ours,F1,0.5,fraction,0.5,,,f1,A note,\n"
    )
    brought = ok(send(empty, text))
    assert (brought["registered"], brought["known"]) == (2, 0)
    first, second = claims(empty)
    assert [one["id"] for one in brought["claims"]] == [first["id"], second["id"]]
    assert [one["place"] for one in brought["claims"]] == ["line.2", "line.4"]
    assert (first["row"], first["quoted_text"], first["decimals"]) == ("Ours, large", 'Ours "91.80"', 2)
    assert (first["pdf_page"], first["n_items"], first["is_headline"]) == (6, 9815, True)
    assert (second["reported_metric"], second["notes"], second["pdf_page"]) == ("f1", "A note", None)
    again = ok(send(empty, text, "text/csv; charset=utf-8"))
    assert (again["registered"], again["known"]) == (0, 2)
    assert claims(empty) == [first, second]
    entries = ok(empty.get(f"/v1/audit?subject=papers/{PAPER}"))["items"]
    assert [one["changes"]["registered"] for one in entries if one["action"] == "claims.imported"] == [0, 2]
    assert entries[0]["operation"] == "importClaims"


def test_every_bad_field_of_every_row_is_named_and_nothing_is_written(empty: Api, database: Database) -> None:
    rows = [
        "Table 2,Ours,MNLI-m,91.8,percent,91.8,,,,,",
        "Table 2,Ours,MNLI-m,91.80,percent,twice,,,,,",
        ",Ours,MNLI-m,91.8,percents,91.8,0,many,,,perhaps",
        "Table 2,Ours,A,22.4,percent,22.4,,124,,,",
        "Table 2,Ours,B,91.8,fraction,91.8,,,,,",
        "Table 2,Ours,C,-1,percent,-1,,,,,",
    ]
    with unchanged(database):
        found = errors(send(empty, HEADER + "\n".join(rows)))
    assert found == {
        "line.3": "claim_repeated",
        "line.4.section": "missing",
        "line.4.unit": "literal_error",
        "line.4.pdf_page": "greater_than_equal",
        "line.4.n_items": "int_type",
        "line.4.force": "bool_type",
        "line.5.reported_value": "claim_value_impossible",
        "line.6.reported_value": "claim_value_invalid",
        "line.7.reported_value": "string_pattern_mismatch",
    }


def test_impossible_values_are_registered_by_force(empty: Api) -> None:
    row = "Table 2,Ours,A,22.4,percent,22.4,,124,,,"
    assert errors(send(empty, HEADER + row)) == {"line.2.reported_value": "claim_value_impossible"}
    ok(send(empty, HEADER + row + "true\nTable 2,Ours,B,91.8,percent,x,,,,,"))
    ok(send(empty, HEADER + row.replace("A", "C"), address=f"{IMPORT}?force=true"))
    assert [claim["reported_value"] for claim in claims(empty)] == [22.4, 91.8, 22.4]


@pytest.mark.parametrize("media", ["text/markdown", "application/yaml"])
def test_a_model_card(empty: Api, media: str) -> None:
    text = CARD if media == "application/yaml" else f"---\r\n{CARD}---\r\n# Ours\n---\nfoo: [\n"
    brought = ok(send(empty, text, media, f"{IMPORT}?metric=accuracy"))
    assert [one["place"] for one in brought["claims"]] == [
        "model-index.0.results.0.metrics.0",
        "model-index.0.results.1.metrics.0",
        "model-index.1.results.0.metrics.0",
    ]
    first, second, third = claims(empty)
    assert (first["section"], first["row"], first["column"]) == ("Model card", "ours", "MNLI, validation_matched")
    assert (first["reported_value"], first["decimals"], first["unit"]) == (91.8, 2, "percent")
    assert first["quoted_text"] == "MNLI-m: 91.80"
    assert second["column"] == "MNLI (validation_mismatched), mnli"
    assert (second["reported_value"], second["unit"], second["reported_metric"]) == (0.9, "fraction", "accuracy")
    assert (third["row"], third["decimals"]) == ("theirs", 0)
    ok(send(empty, text, media))
    assert {claim["reported_metric"] for claim in claims(empty)} == {"accuracy", "f1"}
    low = CARD.replace("91.80", "0.9")
    ok(send(empty, low, "application/yaml", f"{IMPORT}?unit=percent&metric=accuracy"))
    assert claims(empty)[-1]["unit"] == "percent"


BAD_FILES: Final[dict[str, tuple[str | bytes, str]]] = {
    "empty": ("", "text/csv"),
    "only columns": (HEADER, "text/csv"),
    "no columns": ("a,b\n1,2\n", "text/csv"),
    "a column twice": (HEADER.strip() + ",row\n", "text/csv"),
    "a row too short": (HEADER + "Table 2,Ours\n", "text/csv"),
    "a quote left open": (HEADER + '"Table 2', "text/csv"),
    "bytes that are no text": (HEADER.encode() + b"\xff\xfe", "text/csv"),
    "a cell too large": (HEADER + "x" * 200_000, "text/csv"),
    "too many rows": (HEADER + "T,R,C,1,percent,x,,,,,\n" * 1001, "text/csv"),
    "no front matter": ("# A model\n", "text/markdown"),
    "front matter left open": ("---\nmodel-index: []\n", "text/markdown"),
    "no model-index": ("---\nlicense: mit\n---\n", "text/markdown"),
    "no list": ("model-index: 1", "application/yaml"),
    "no metrics": ("model-index: [{name: x, results: []}]", "application/yaml"),
    "no YAML": ("a: [", "application/yaml"),
    "control characters": ("a: \x01", "application/yaml"),
    "several documents": ("a: 1\n--- \nb: 2\n", "application/yaml"),
    "a bomb": ("a: &a [x, x]\n" + "b: [*a, *a, *a]\n", "application/yaml"),
    "an alias of itself": ("&a [*a]", "application/yaml"),
    "too deep": ("[" * 100_000, "application/yaml"),
    "deep in blocks": ("- " * 50_000, "application/yaml"),
    "too much": ("x" * 300_000, "application/yaml"),
    "an object": ("model-index: !!python/object/apply:os.system [id]", "application/yaml"),
}


def test_what_is_no_file_of_claims_is_refused(empty: Api, database: Database) -> None:
    with unchanged(database):
        for name, (text, media) in BAD_FILES.items():
            found = errors(send(empty, text, media))
            assert found, name
        assert "file_unreadable" in errors(send(empty, *BAD_FILES["a bomb"])).values()
        values = CARD.replace("91.80", "20.0 ± 1.2").replace("{type: f1, value: 0.5}", "{type: f1, value: {a: 1}}")
        assert errors(send(empty, values, "application/yaml")) == {
            "model-index.0.results.0.metrics.1.value": "string_type"
        }
        values = CARD.replace("91.80", "20.0 ± 1.2")
        assert errors(send(empty, values, "application/yaml")) == {
            "model-index.0.results.0.metrics.0.reported_value": "string_pattern_mismatch"
        }


def test_what_is_sent_otherwise_is_refused(empty: Api) -> None:
    refused(send(empty, "{}", "application/json"), 415, "unsupported_media_type")
    answer = empty.post(IMPORT, content=b"x")
    refused(answer, 415, "unsupported_media_type")
    assert answer.headers["accept"] == "text/csv, text/markdown, application/yaml"
    refused(send(empty, "x" * 1_100_000), 413, "body_too_large")
    refused(send(empty, HEADER, address="/v1/papers/2101.00001/claims:import"), 404, "paper_not_found")
    refused(send(empty, HEADER, address=IMPORT.replace("/claims", "v9/claims")), 404, "version_not_found")
    refused(send(empty, HEADER, address=f"{IMPORT}?unit=inch&metric=F1"), 422, "validation_failed")
    refused(send(empty, HEADER, Authorization="Bearer x.y"), 401, "key_invalid")


def test_a_repeated_request_is_answered_once(empty: Api) -> None:
    text = HEADER + "Table 2,Ours,MNLI-m,91.8,percent,91.8,,,,,"
    first = send(empty, text, **{"Idempotency-Key": "k"})
    again = send(empty, text, **{"Idempotency-Key": "k"})
    assert ok(first) == ok(again)
    assert again.headers["idempotent-replayed"] == "true"
    refused(send(empty, text + " ", **{"Idempotency-Key": "k"}), 422, "idempotency_key_reused")
    refused(send(empty, b"\xff", **{"Idempotency-Key": "other"}), 422, "claims_file_invalid")


def test_hostile_texts_are_registered_as_they_are(empty: Api) -> None:
    texts = [text for text in INJECTIONS if text.strip()]
    out = io.StringIO(newline="")
    sheet = csv.writer(out)
    sheet.writerow(["section", "row", "column", "reported_value", "unit", "quoted_text"])
    for i, text in enumerate(texts):
        sheet.writerow([f"{i} {text}"[:200], text[:200], "x", "50", "percent", text])
    ok(send(empty, out.getvalue()))
    assert [claim["quoted_text"].strip() for claim in claims(empty)] == [text.strip() for text in texts]
    index: list[Any] = [
        {"name": text[:200], "results": [{"dataset": {"name": f"y{i}"}, "metrics": [{"type": "m", "value": "1"}]}]}
        for i, text in enumerate(texts)
    ]
    front = yaml.safe_dump({"model-index": index}, allow_unicode=True)
    ok(send(empty, front, "application/yaml"))
    found = {claim["column"]: claim["row"] for claim in claims(empty)}
    assert [found[f"y{i}"].strip() for i in range(len(texts))] == [text[:200].strip() for text in texts]
