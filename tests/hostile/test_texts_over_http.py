"""Whatever text was accepted comes out again as it went in, in every form in which it goes out."""

import csv
import io
import json
from typing import Final

import pyarrow.parquet as pq
from hypothesis import HealthCheck, assume, given
from hypothesis import settings as pace

from tests.api.helpers import PAPER, SPLIT, Api, claim_body, ok, paper_body, predictions_body
from tests.hostile.texts import HOSTILE, INJECTIONS

EASY: Final = pace(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
FORMULA: Final = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def same(read: str, sent: str) -> bool:
    """Blanks around a text are cut off, and nothing else."""
    return read.strip() == sent.strip()


@given(HOSTILE, HOSTILE)
@EASY
def test_metadata_of_a_paper(api: Api, one: str, other: str) -> None:
    sent = api.put(f"/v1/papers/{PAPER}", json=paper_body(title=one, abstract=other, venue=one))
    assume(sent.status_code != 422)  # nothing but blanks
    paper = ok(sent)["paper"]
    assert same(paper["title"], one)
    assert same(paper["abstract"], other)
    assert same(paper["venue"], one)
    read = api.get(f"/v1/papers/{PAPER}")
    assert read.headers["content-type"] == "application/json"
    assert ok(read)["paper"] == paper
    assert [ok(api.get("/v1/papers"))["items"][0][name] for name in ("title", "venue")] == [paper["title"]] * 2
    assert ok(api.get("/v1/papers", params={"venue": paper["venue"]}))["items"]


@given(HOSTILE)
@EASY
def test_a_search_for_anything_is_answered(api: Api, text: str) -> None:
    found = api.get("/v1/papers", params={"q": text[:200], "venue": text[:200]})
    assert found.status_code == 200
    assert api.get("/v1/drivers/" + "".join(f"%{byte:02x}" for byte in text.encode()[:150])).status_code in {404, 422}


@given(HOSTILE, HOSTILE)
@EASY
def test_claims_and_versions(api: Api, one: str, other: str) -> None:
    posted = api.post(
        f"/v1/papers/{PAPER}/claims", json=claim_body(section=one[:200], row=other[:200], quoted_text=one, notes=other)
    )
    assume(posted.status_code != 422)
    assume(posted.status_code != 409)  # the same once more
    claim = ok(api.get(posted.headers["location"]))
    assert same(claim["section"], one[:200])
    assert same(claim["row"], other[:200])
    assert same(claim["quoted_text"], one)
    assert same(claim["notes"], other)
    version = ok(api.post(f"/v1/papers/{PAPER}/versions", json={"rendering_engine": one[:1000]}), 201)
    assert same(version["rendering_engine"], one[:1000])


def test_predictions_in_every_format(api: Api) -> None:
    body = predictions_body([("neutral", "neutral")] * len(INJECTIONS))
    body["evidence"]["environment"] = {text[:100]: text for text in INJECTIONS}
    for prediction, text in zip(body["evidence"]["predictions"], INJECTIONS, strict=True):
        prediction["id"] = text
    verdict = ok(api.post(f"/v1/papers/{PAPER}/verdicts", json=body), 201)
    address = f"/v1/verdicts/{verdict['id']}"
    assert ok(api.get(f"{address}/evidence"))["facts"]["environment"] == body["evidence"]["environment"]
    lines = api.get(f"{address}/predictions").content.split(b"\n")[:-1]
    assert [json.loads(line)["id"] for line in lines] == list(INJECTIONS)
    parquet = api.get(f"{address}/predictions", headers={"Accept": "application/vnd.apache.parquet"}).content
    assert pq.read_table(io.BytesIO(parquet))["id"].to_pylist() == list(INJECTIONS)
    sheet = api.get(f"{address}/predictions", headers={"Accept": "text/csv"}).content.decode()
    _, *rows = csv.reader(io.StringIO(sheet, newline=""))
    assert not [row[1] for row in rows if row[1].startswith(FORMULA)]
    assert [row[1].removeprefix("'") for row in rows] == [text.removeprefix("'") for text in INJECTIONS]


def test_labels_that_are_formulas(api: Api) -> None:
    labels = ["=1+1", "\uff1d1", "<svg onload=alert(1)>"]
    body = predictions_body([(label, label) for label in labels])
    counts = dict(zip(labels, SPLIT.values(), strict=True))
    body["evidence"] |= {"labels": labels, "split_label_counts": counts}
    verdict = ok(api.post(f"/v1/papers/{PAPER}/verdicts", json=body), 201)
    sheet = api.get(f"/v1/verdicts/{verdict['id']}/predictions", headers={"Accept": "text/csv"}).content.decode()
    _, *rows = csv.reader(io.StringIO(sheet, newline=""))
    assert [row[2:4] for row in rows] == [[f"'{label}"] * 2 for label in labels[:2]] + [[labels[2]] * 2]
