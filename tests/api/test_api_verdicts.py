import json
import re
from copy import deepcopy
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.catalogue.import_document import import_document, parse_document
from app.core.db import Database
from tests.api.helpers import (
    DRIVER,
    GOLDEN,
    NOBODY,
    PAPER,
    PROXY,
    SPLIT,
    Api,
    Json,
    claim_body,
    counted,
    counts_body,
    ok,
    predictions_body,
    refused,
    unchanged,
    walk,
)

PATH = f"/v1/papers/{PAPER}/verdicts"
EXACT = {"model": "exact_weights", "data": "full_split", "metric": "same", "inference": "same"}
OWN = EXACT | {"data": "probability_slice"}
LABELS = list(SPLIT)
GOOD = [(gold, gold) for gold in LABELS] * 3


def with_evidence(body: Json, **fields: Any) -> Json:  # noqa: ANN401  # whatever is to be refused
    """The body with some of its evidence changed."""
    changed = deepcopy(body)
    changed["evidence"] |= fields
    return changed


def predicted(**fields: Any) -> Json:  # noqa: ANN401  # as above
    """A body of predictions with the first one changed."""
    body = predictions_body(GOOD)
    body["evidence"]["predictions"][0] |= fields
    return body


def test_counts_become_a_verdict(api: Api) -> None:
    answer = api.post(PATH, json=counts_body((1666, 1521, 3479), (1666, 1522, 3123), (1666, 1522, 3213)))
    verdict = ok(answer, 201)
    (claim,) = ok(api.get(f"/v1/papers/{PAPER}/claims"))["items"]
    estimate = verdict.pop("estimate")
    assert verdict == {
        "id": verdict["id"],
        "kind": "POST",
        "status": "reproduced",
        "score": 4565 / 4998,
        "confidence": 0.85,
        "agent_version": "v1.0.0-agent",
        "computed_at": verdict["computed_at"],
        "is_current": True,
        "claim_citation": {
            "paper_arxiv_id": PAPER,
            "section": "Table 1",
            "row": "A model",
            "column": "MNLI-m",
            "reported_value": 91.8,
            "reported_metric": "accuracy",
            "quoted_text": "A model 91.8",
            "pdf_page": None,
            "notes": None,
        },
        "protocol_match": "proxy",
        "paper_arxiv_id": PAPER,
        "paper_version": 1,
        "claim_id": claim["id"],
        "sequence": 1,
        "supersedes": None,
        "superseded_by": None,
        "superseded_at": None,
        "origin": "posted",
        "reproduction": None,
        "protocol_axes": PROXY,
    }
    assert answer.headers["location"] == f"/v1/verdicts/{verdict['id']}"
    assert ok(api.get(answer.headers["location"])) == verdict | {"estimate": estimate}
    assert (estimate["status"], estimate["margin"], estimate["delta"]) == ("reproduced", 0.0205, 0.02)
    assert estimate["estimand"] == "finite_population"
    assert estimate["interval_90"][0] < estimate["estimate"] < estimate["interval_90"][1]


@pytest.mark.parametrize(
    ("counts", "protocol", "status", "direction", "confidence"),
    [
        ((200, 184, 9815), OWN, "inconclusive", None, None),
        ((2000, 1836, 9815), OWN, "reproduced", None, round(0.9446 * 0.85, 2)),
        ((200, 168, 9815), PROXY, "not_reproduced", "below", None),
        ((9815, 9010, 9815), EXACT, "reproduced", None, 1.0),
        ((9815, 9815, 9815), EXACT, "not_reproduced", "above", 1.0),
        ((9815, 0, 9815), EXACT, "not_reproduced", "below", 1.0),
    ],
)
def test_the_server_decides(
    api: Api, counts: tuple[int, int, int], protocol: Json, status: str, direction: str | None, confidence: float | None
) -> None:
    verdict = api.post_verdict(**counts_body(counts, protocol=protocol))
    assert (verdict["status"], verdict["estimate"]["direction"]) == (status, direction)
    assert confidence is None or verdict["confidence"] == pytest.approx(confidence, abs=0.005)
    assert verdict["protocol_match"] == ("exact" if protocol == EXACT else "proxy")
    if status == "inconclusive":
        assert verdict["estimate"]["p_inside"] == pytest.approx(0.4161, abs=5e-4)
        assert verdict["estimate"]["more_examples_needed"] > 0


def test_predictions_become_the_same_verdict_as_their_counts(api: Api) -> None:
    pairs = [(gold, gold) for gold in LABELS] * 60 + [(LABELS[0], LABELS[1])] * 10
    by_predictions = ok(api.post(PATH, json=predictions_body(pairs)), 201)
    by_counts = api.post_verdict(**counts_body((190, 180, 9815)))
    same = ("status", "score", "confidence", "estimate")
    assert {name: by_predictions[name] for name in same} == {name: by_counts[name] for name in same}
    balanced = ok(api.post(PATH, json=predictions_body(pairs, slice_kind="balanced")), 201)
    strata = [(70, 60, SPLIT[LABELS[0]]), (60, 60, SPLIT[LABELS[1]]), (60, 60, SPLIT[LABELS[2]])]
    assert balanced["estimate"] == api.post_verdict(**counts_body(*strata))["estimate"]


def test_new_items_are_another_estimand(api: Api) -> None:
    finite, new = (
        api.post_verdict(**counts_body((9815, 9010, 9815), protocol=OWN, estimand=estimand))
        for estimand in ("finite_population", "superpopulation")
    )
    assert finite["estimate"]["interval_95"] == [9010 / 9815] * 2
    assert new["estimate"]["interval_95"][0] < 9010 / 9815 < new["estimate"]["interval_95"][1]


def test_the_newest_verdict_takes_over_and_the_earlier_one_says_so(api: Api) -> None:
    first, second, third = (api.post_verdict() for _ in range(3))
    pre = api.post_verdict(kind="PRE")
    assert [one["sequence"] for one in (first, second, third, pre)] == [1, 2, 3, 1]
    assert (third["supersedes"], pre["supersedes"]) == (second["id"], None)
    read = [ok(api.get(f"/v1/verdicts/{one['id']}")) for one in (first, second, third, pre)]
    assert [one["is_current"] for one in read] == [False, False, True, True]
    assert [one["superseded_by"] for one in read] == [second["id"], third["id"], None, None]
    assert read[0] == first | {
        "is_current": False,
        "superseded_by": second["id"],
        "superseded_at": read[0]["superseded_at"],
    }
    assert re.fullmatch(r"[-0-9T:]+\.\d{3}Z", read[0]["superseded_at"])


def test_history_and_feed_are_newest_first_and_narrowed_by_their_filters(api: Api) -> None:
    api.put_paper("2111.09544")
    api.post_claim("2111.09544")
    other_claim = api.post_claim(row="Another")["id"]
    old, new = api.post_verdict(), api.post_verdict(**counts_body((200, 100, 9815)))
    pre = api.post_verdict(kind="PRE")
    other = api.post_verdict(claim=other_claim)
    elsewhere = api.post_verdict("2111.09544")
    claim = old["claim_id"]
    here = [other, pre, new, old]
    wanted: list[tuple[str, list[Json]]] = [
        ("", here),
        ("kind=PRE", [pre]),
        ("kind=POST", [other, new, old]),
        (f"claim={claim}", [pre, new, old]),
        (f"claim={other_claim}", [other]),
        (f"claim={NOBODY}", []),
        ("is_current=true", [other, pre, new]),
        ("is_current=false", [old]),
        ("status=not_reproduced", [new]),
        (f"claim={claim}&kind=POST&is_current=true&status=not_reproduced", [new]),
        ("status=inconclusive", []),
    ]
    for query, verdicts in wanted:
        ids = [one["id"] for one in verdicts]
        assert walk(api, f"{PATH}?limit=1&{query}") == ids, query
        too = [elsewhere["id"]] if query in {"", "kind=POST", "is_current=true"} else []
        assert walk(api, f"/v1/verdicts?limit=2&{query}") == too + ids, query
    assert walk(api, "/v1/papers/2111.09544/verdicts") == [elsewhere["id"]]


def test_bad_filters_are_named(api: Api) -> None:
    for query, field in (
        ("kind=post", "query.kind"),
        ("status=none", "query.status"),
        ("claim=1", "query.claim"),
        ("is_current=2", "query.is_current"),
        ("limit=0", "query.limit"),
        ("status=reproduced%00", "query.status"),
    ):
        for path in (PATH, "/v1/verdicts"):
            refused(api.get(f"{path}?{query}"), 422, "validation_failed", field)


def test_verdicts_that_are_not_there(api: Api) -> None:
    for below in ("", "/evidence", "/predictions"):
        refused(api.get(f"/v1/verdicts/{NOBODY}{below}"), 404, "verdict_not_found")
        refused(api.get(f"/v1/verdicts/1{below}"), 422, "validation_failed", "path.verdict_id")


COUNTS = counts_body()
SHAPE: list[tuple[Json, str]] = [
    (COUNTS | {"status": "reproduced"}, "body.status"),
    (COUNTS | {"confidence": 1.0}, "body.confidence"),
    (COUNTS | {"kind": "DURING"}, "body.kind"),
    (COUNTS | {"agent_version": "1.0.0-agent"}, "body.agent_version"),
    (COUNTS | {"agent_version": "v1.0.0"}, "body.agent_version"),
    (COUNTS | {"agent_version": "v1.0.0-Agent"}, "body.agent_version"),
    (COUNTS | {"agent_version": "v\u0661.0.0-agent"}, "body.agent_version"),
    (COUNTS | {"agent_version": "v1.0.0-" + "a" * 120}, "body.agent_version"),
    (COUNTS | {"protocol": PROXY | {"model": "mine"}}, "body.protocol.model"),
    (COUNTS | {"protocol": PROXY | {"extra": 1}}, "body.protocol.extra"),
    (COUNTS | {"protocol": {k: v for k, v in PROXY.items() if k != "data"}}, "body.protocol.data"),
    (COUNTS | {"estimand": "everything"}, "body.estimand"),
    (COUNTS | {"claim": "headline"}, "body.claim"),
    (COUNTS | {"notes": "\0"}, "body.notes"),
    (COUNTS | {"evidence": {}}, "body.evidence"),
    (COUNTS | {"evidence": []}, "body.evidence"),
    (with_evidence(COUNTS, counts=[]), "body.evidence.counts"),
    (with_evidence(COUNTS, counts=[{"n": -1, "correct": 0, "total": 1}]), "body.evidence.counts.0.n"),
    (with_evidence(COUNTS, counts=[{"n": 1.0, "correct": 0, "total": 1}]), "body.evidence.counts.0.n"),
    (with_evidence(COUNTS, counts=[{"n": True, "correct": 0, "total": 1}]), "body.evidence.counts.0.n"),
    (with_evidence(COUNTS, counts=[{"n": "1", "correct": 0, "total": 1}]), "body.evidence.counts.0.n"),
    (with_evidence(COUNTS, counts=[{"n": 1, "correct": 1}]), "body.evidence.counts.0.total"),
    (with_evidence(COUNTS, counts=[{"n": 1, "correct": 1, "total": 10**9}]), "body.evidence.counts.0.total"),
    (with_evidence(COUNTS, counts=[{"label": "", "n": 1, "correct": 1, "total": 1}]), "body.evidence.counts.0.label"),
    (with_evidence(COUNTS, environment={"a": {"b": 1}}), "body.evidence.environment.a"),
    (with_evidence(COUNTS, environment={"a": "\0"}), "body.evidence.environment.a"),
    (with_evidence(COUNTS, environment={"a": "x" * 2001}), "body.evidence.environment.a"),
    (with_evidence(COUNTS, environment={"\0": 1}), "body.evidence.environment.\0.[key]"),
    (with_evidence(COUNTS, environment={str(i): i for i in range(201)}), "body.evidence.environment"),
    (with_evidence(COUNTS, slice_kind="half"), "body.evidence.slice_kind"),
    (with_evidence(COUNTS, **predictions_body(GOOD)["evidence"]), "body.evidence"),
    (with_evidence(predictions_body(GOOD), labels=None), "body.evidence"),
    (with_evidence(predictions_body(GOOD), split_label_counts=None), "body.evidence"),
    (with_evidence(predictions_body(GOOD), predictions=[]), "body.evidence.predictions"),
    (with_evidence(predictions_body(GOOD), labels=["one"]), "body.evidence.labels"),
    (with_evidence(predictions_body(GOOD), labels=[*LABELS, "\0"]), "body.evidence.labels.3"),
    (predicted(id=""), "body.evidence.predictions.0.id"),
    (predicted(id="a\0"), "body.evidence.predictions.0.id"),
    (predicted(id="a" * 201), "body.evidence.predictions.0.id"),
    (predicted(id=5), "body.evidence.predictions.0.id"),
    (predicted(correct=True), "body.evidence.predictions.0.correct"),
    (predicted(logits="1 2 3"), "body.evidence.predictions.0.logits"),
    (predicted(logits=[1, 2, "3"]), "body.evidence.predictions.0.logits.2"),
    (predicted(logits=[1, 2, True]), "body.evidence.predictions.0.logits.2"),
    (predicted(logits=[1, 2, 1e39]), "body.evidence.predictions.0.logits.2"),
    (predicted(logits=[1, 2, -1e300]), "body.evidence.predictions.0.logits.2"),
    (predicted(logits=[0.0] * 1001), "body.evidence.predictions.0.logits"),
]
CONTENT: list[tuple[Json, str]] = [
    (counts_body((10, 11, 100)), "body.evidence"),
    (counts_body((101, 11, 100)), "body.evidence"),
    (counts_body((0, 0, 100)), "body.evidence"),
    (counts_body((10, 5, 0)), "body.evidence"),
    (counts_body(*[(10, 5, 1_000_000)] * 2), "body.evidence"),
    (counts_body((10, 9, 100), protocol=EXACT), "body.evidence"),
    (with_evidence(COUNTS, slice_kind="full"), "body.evidence"),
    (with_evidence(COUNTS, counts=[{"n": 1, "correct": 1, "total": 2}] * 2), "body.evidence.counts"),
    (
        with_evidence(COUNTS, counts=[{"label": "a", "n": 1, "correct": 1, "total": 2}] * 2),
        "body.evidence.counts",
    ),
    (predicted(id="item-1"), "body.evidence.predictions.1"),
    (predicted(gold="maybe"), "body.evidence.predictions.0"),
    (predicted(predicted="maybe"), "body.evidence.predictions.0"),
    (predicted(logits=[0.0, 1.0, 0.5]), "body.evidence.predictions.0"),
    (predicted(logits=[1.0, 0.0]), "body.evidence.predictions.0"),
    (predicted(logits=[]), "body.evidence.predictions.0"),
    (predicted(logits=[1.0, 0.0, 0.0, 0.0]), "body.evidence.predictions.0"),
    (with_evidence(predictions_body(GOOD), labels=[*LABELS, LABELS[0]]), "body.evidence.labels"),
    (with_evidence(predictions_body(GOOD), labels=[*LABELS, "maybe"]), "body.evidence.labels"),
    (with_evidence(predictions_body(GOOD), labels=LABELS[:2]), "body.evidence.labels"),
    (
        with_evidence(predictions_body(GOOD), split_label_counts=SPLIT | {LABELS[1]: 2}),
        "body.evidence.split_label_counts",
    ),
    (
        with_evidence(predictions_body(GOOD), split_label_counts=SPLIT | {LABELS[1]: 0}, slice_kind="balanced"),
        "body.evidence.split_label_counts",
    ),
    (with_evidence(predictions_body(GOOD), slice_kind="full"), "body.evidence"),
]


def test_evidence_of_another_shape_is_refused_field_by_field(api: Api, database: Database) -> None:
    with unchanged(database):
        for body, field in SHAPE:
            refused(api.post(PATH, json=body), 422, "validation_failed", field)


def test_evidence_that_cannot_be_is_refused(api: Api, database: Database) -> None:
    with unchanged(database):
        for body, field in CONTENT:
            refused(api.post(PATH, json=body), 422, "evidence_invalid", field)


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_numbers_that_are_none_are_refused(api: Api, database: Database, literal: str) -> None:
    bodies = {
        "body.evidence.predictions.0.logits.0": predicted(logits=["?", 0, 0]),
        "body.evidence.environment.a": with_evidence(COUNTS, environment={"a": "?"}),
        "body.evidence.counts.0.n": with_evidence(COUNTS, counts=[{"n": "?", "correct": 1, "total": 1}]),
    }
    with unchanged(database):
        for field, body in bodies.items():
            content = json.dumps(body).replace('"?"', literal)
            answer = api.post(PATH, content=content, headers={"Content-Type": "application/json"})
            refused(answer, 422, "validation_failed", field)


def test_labels_that_look_permuted_are_refused(api: Api, database: Database) -> None:
    turned = [(LABELS[i % 3], LABELS[(i + 1) % 3]) for i in range(300)]
    with unchanged(database):
        refused(api.post(PATH, json=predictions_body(turned)), 422, "label_map_suspect")
    bad = [(LABELS[i % 3], LABELS[i // 3 % 3]) for i in range(300)]
    assert ok(api.post(PATH, json=predictions_body(bad)), 201)["status"] == "not_reproduced"


def test_a_claim_of_another_metric_paper_or_nobody(api: Api, database: Database) -> None:
    bleu = ok(api.post(f"/v1/papers/{PAPER}/claims", json=claim_body(row="B", reported_metric="bleu")), 201)["id"]
    api.put_paper("2111.09544")
    foreign = api.post_claim("2111.09544")["id"]
    api.put_paper("2111.09545")
    with unchanged(database):
        refused(api.post(PATH, json=counts_body(claim=bleu)), 422, "metric_unsupported")
        refused(api.post(PATH, json=counts_body(claim=foreign)), 404, "claim_not_found")
        refused(api.post(PATH, json=counts_body(claim=NOBODY)), 404, "claim_not_found")
        refused(api.post("/v1/papers/2111.09545/verdicts", json=COUNTS), 404, "claim_not_found")
        refused(api.post("/v1/papers/2111.09546/verdicts", json=COUNTS), 404, "paper_not_found")
        refused(api.post(f"/v1/papers/{PAPER}v2/verdicts", json=COUNTS), 404, "version_not_found")


def test_evidence_shows_what_was_posted(api: Api) -> None:
    environment = {"torch": "2.13", "gpus": 1, "tf32": False, "seconds": 1.5, "host": None}
    body = with_evidence(predictions_body([*GOOD, (LABELS[0], LABELS[1])]), environment=environment)
    verdict = ok(api.post(PATH, json=body | {"notes": "Größe"}), 201)
    evidence = ok(api.get(f"/v1/verdicts/{verdict['id']}/evidence"))
    assert evidence["verdict_id"] == verdict["id"]
    assert evidence["labels"] == LABELS
    assert evidence["confusion"] == [[3, 1, 0], [0, 3, 0], [0, 0, 3]]
    assert evidence["decision"] == verdict["estimate"]
    assert evidence["predictions"] == 10
    assert evidence["driver"] is None
    assert evidence["facts"] == {
        "posted_by": "v1.0.0-agent",
        "notes": "Größe",
        "counts": None,
        "split_label_counts": SPLIT,
        "slice_kind": "simple",
        "environment": environment,
    }


def test_evidence_of_counts(api: Api) -> None:
    verdict = api.post_verdict()
    evidence = ok(api.get(f"/v1/verdicts/{verdict['id']}/evidence"))
    assert (evidence["labels"], evidence["confusion"], evidence["predictions"]) == (None, None, 0)
    assert evidence["facts"]["counts"] == COUNTS["evidence"]["counts"]


def test_an_imported_verdict_has_no_evidence(client: Api, database: Database) -> None:
    with database.unit_of_work() as session:
        import_document(session, parse_document(GOLDEN.read_text(encoding="utf-8")))
    (verdict,) = ok(client.get(PATH))["items"]
    assert (verdict["origin"], verdict["estimate"], verdict["protocol_axes"]) == ("imported", None, None)
    assert verdict["agent_version"] == f"v0.1.0-{DRIVER}"
    for below in ("evidence", "predictions"):
        refused(client.get(f"/v1/verdicts/{verdict['id']}/{below}"), 404, "evidence_not_found")


def test_a_body_of_more_than_a_megabyte_is_fine_and_one_of_more_than_32_is_not(api: Api, database: Database) -> None:
    pairs = [(LABELS[i % 3], LABELS[i % 3]) for i in range(9000)]
    body = predictions_body(pairs)
    for prediction in body["evidence"]["predictions"]:
        prediction["id"] += "-" + "x" * 100
    answer = api.post(PATH, json=body)
    assert int(answer.request.headers["content-length"]) > 1024 * 1024
    verdict = ok(answer, 201)
    with unchanged(database):
        huge = b" " * (32 * 1024 * 1024 + 1)
        answer = api.post(PATH, content=huge, headers={"Content-Type": "application/json"})
        refused(answer, 413, "body_too_large")
    with counted(database) as statements:
        lines = api.get(f"/v1/verdicts/{verdict['id']}/predictions").text.splitlines()
    assert len(lines) == 9000
    assert len(statements) <= 6


@given(n=st.integers(-5, 300), correct=st.integers(-5, 300), total=st.integers(-5, 300))
@settings(max_examples=50)
def test_counts_are_judged_or_refused_and_never_break(api: Api, n: int, correct: int, total: int) -> None:
    answer = api.post(PATH, json=counts_body((n, correct, total)))
    if 0 <= correct <= n <= total and n >= 1:
        verdict = ok(answer, 201)
        assert verdict["score"] == correct / n
        assert 0 <= verdict["confidence"] <= 0.85
        assert UUID(verdict["id"])
    else:
        possible = min(n, correct, total) >= 0
        refused(answer, 422, "evidence_invalid" if possible else "validation_failed")
