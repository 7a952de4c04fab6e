import json
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.db import Database
from tests.api.helpers import NOBODY, PAPER, Api, at_once, claim_body, ok, refused, unchanged

PATH = f"/v1/papers/{PAPER}/claims"


@pytest.fixture
def paper(client: Api) -> Api:
    """A client of a service that has one paper without claims."""
    client.put_paper()
    return client


def test_a_claim_as_it_is_served(paper: Api) -> None:
    sent = claim_body(pdf_page=6, notes="From Table 1.", n_items=9815)
    answer = paper.post(PATH, json=sent)
    claim = ok(answer, 201)
    assert claim == sent | {
        "id": claim["id"],
        "paper_arxiv_id": PAPER,
        "paper_version": 1,
        "reported_value": 91.8,
        "decimals": 1,
        "reported_metric": "accuracy",
        "is_headline": True,
        "drivers": [],
        "created_at": claim["created_at"],
    }
    assert answer.headers["location"] == f"/v1/claims/{claim['id']}"
    assert ok(paper.get(f"/v1/claims/{claim['id']}")) == claim
    assert ok(paper.get(PATH)) == {"items": [claim], "next_cursor": None}


def test_claims_come_in_the_order_they_were_registered(paper: Api) -> None:
    ids = [paper.post_claim(row=f"Model {i}")["id"] for i in range(4)]
    claims = ok(paper.get(PATH))["items"]
    assert [claim["id"] for claim in claims] == ids
    assert [claim["is_headline"] for claim in claims] == [True, False, False, False]


@pytest.mark.usefixtures("catalogue")
def test_a_claim_names_the_drivers_that_re_measure_it(client: Api) -> None:
    (claim,) = ok(client.get(PATH))["items"]
    assert claim["drivers"] == ["deberta-mnli-microslice"]
    assert ok(client.get(f"/v1/claims/{claim['id']}"))["drivers"] == ["deberta-mnli-microslice"]


PRINTED: list[tuple[Any, str, float, int]] = [
    ("91.8", "percent", 91.8, 1),
    (91.8, "percent", 91.8, 1),
    ("91.80", "percent", 91.8, 2),
    (92, "percent", 92.0, 0),
    ("92", "percent", 92.0, 0),
    ("0.918", "fraction", 0.918, 3),
    (0.1, "percent", 0.1, 1),
    (1e-7, "fraction", 1e-7, 7),
    ("100", "percent", 100.0, 0),
    ("100.0", "percent", 100.0, 1),
    (1, "fraction", 1.0, 0),
    (0, "percent", 0.0, 0),
    ("007.50", "percent", 7.5, 2),
    ("0." + "1" * 20, "fraction", 0.1111111111111111, 20),
]


def test_a_number_keeps_the_digits_it_was_printed_with(paper: Api) -> None:
    for i, (sent, unit, value, decimals) in enumerate(PRINTED):
        claim = paper.post_claim(row=str(i), reported_value=sent, unit=unit)
        assert (claim["reported_value"], claim["decimals"]) == (value, decimals), sent


NO_NUMBER: list[Any] = [
    "91,8", "91.", ".8", "1e2", "-1", "+1", " 91.8", "91.8\n", "٩١.٨", "91.8%", "NaN", "Infinity", "", "0x10", "1_0",
    "0." + "1" * 21, "1000", -0.1, -1, 1e300, 1e-300, 10**400, True, None, [], {}, ["91.8"],
]  # fmt: skip


def test_what_is_no_printed_number_is_refused(paper: Api, database: Database) -> None:
    with unchanged(database):
        for value in NO_NUMBER:
            problem = paper.post(PATH, json=claim_body(reported_value=value))
            refused(problem, 422, "validation_failed", "body.reported_value")


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "9" * 4000])
def test_numbers_that_json_or_python_stretch_are_refused(paper: Api, database: Database, literal: str) -> None:
    body = json.dumps(claim_body()).replace('"91.8"', literal)
    with unchanged(database):
        problem = paper.post(PATH, content=body, headers={"Content-Type": "application/json"})
        refused(problem, 422, "validation_failed", "body.reported_value")


def test_a_number_too_long_to_read_is_refused(paper: Api, database: Database) -> None:
    body = json.dumps(claim_body()).replace('"91.8"', "9" * 5000)
    with unchanged(database):
        problem = paper.post(PATH, content=body, headers={"Content-Type": "application/json"})
        refused(problem, 400, "body_unreadable")


def test_a_percentage_is_not_a_fraction(paper: Api, database: Database) -> None:
    with unchanged(database):
        problem = refused(
            paper.post(PATH, json=claim_body(unit="fraction")), 422, "claim_value_invalid", "body.reported_value"
        )
        assert "percent" in problem["detail"]
        for value, unit in (("100.1", "percent"), ("999", "percent"), ("1.01", "fraction")):
            body = claim_body(reported_value=value, unit=unit)
            refused(paper.post(PATH, json=body), 422, "claim_value_invalid", "body.reported_value")


BAD: list[tuple[dict[str, Any], str]] = [
    ({"pdf_page": 0}, "pdf_page"),
    ({"pdf_page": -1}, "pdf_page"),
    ({"pdf_page": 100_001}, "pdf_page"),
    ({"pdf_page": 1.5}, "pdf_page"),
    ({"pdf_page": "6"}, "pdf_page"),
    ({"pdf_page": True}, "pdf_page"),
    ({"n_items": 0}, "n_items"),
    ({"n_items": -5}, "n_items"),
    ({"n_items": 10**10}, "n_items"),
    ({"n_items": "many"}, "n_items"),
    ({"force": "yes"}, "force"),
    ({"force": 1}, "force"),
    ({"unit": "points"}, "unit"),
    ({"unit": None}, "unit"),
    ({"reported_metric": "F1 score"}, "reported_metric"),
    ({"reported_metric": "a" * 41}, "reported_metric"),
    ({"reported_metric": ""}, "reported_metric"),
    ({"section": ""}, "section"),
    ({"section": "\n"}, "section"),
    ({"section": "a" * 201}, "section"),
    ({"row": 5}, "row"),
    ({"column": "a\0b"}, "column"),
    ({"quoted_text": "a" * 20_001}, "quoted_text"),
    ({"quoted_text": None}, "quoted_text"),
    ({"notes": ""}, "notes"),
    ({"notes": "\0"}, "notes"),
    ({"decimals": 1}, "decimals"),
    ({"id": NOBODY}, "id"),
    ({"is_headline": True}, "is_headline"),
]


def test_each_bad_field_is_named_and_nothing_is_written(paper: Api, database: Database) -> None:
    with unchanged(database):
        for fields, name in BAD:
            refused(paper.post(PATH, json=claim_body(**fields)), 422, "validation_failed", f"body.{name}")
        body = claim_body(**{name: value for fields, _ in BAD[::4] for name, value in fields.items()})
        problem = refused(paper.post(PATH, json=body), 422, "validation_failed")
        assert {error["field"] for error in problem["errors"]} == {f"body.{name}" for _, name in BAD[::4]}


def test_missing_fields_are_named(paper: Api, database: Database) -> None:
    with unchanged(database):
        problem = refused(paper.post(PATH, json={}), 422, "validation_failed")
    needed = {"section", "row", "column", "reported_value", "unit", "quoted_text"}
    assert {error["field"] for error in problem["errors"]} == {f"body.{name}" for name in needed}


def test_the_longest_citation_fits(paper: Api) -> None:
    longest = "".join(chr(0x1F300 + i) for i in range(200))  # four bytes each, and nothing to compress
    cells = {"section": longest, "row": longest[::-1], "column": longest[100:] + longest[:100]}
    text = "".join(chr(0x4E00 + i) for i in range(20_000))
    claim = paper.post_claim(
        **cells, quoted_text=text, notes=text, reported_metric="a" * 40, reported_value="0." + "7" * 20
    )
    assert {name: claim[name] for name in cells} == cells
    assert claim["quoted_text"] == text


def test_the_same_number_of_the_same_cell_is_one_claim(paper: Api, database: Database) -> None:
    first = paper.post_claim()
    with unchanged(database):
        for value in ("91.8", "91.80", 91.8):
            answer = paper.post(PATH, json=claim_body(reported_value=value, quoted_text="Otherwise quoted"))
            refused(answer, 409, "claim_exists")
            assert answer.headers["location"] == f"/v1/claims/{first['id']}"
    paper.post_claim(reported_value="91.9")
    paper.post_claim(reported_metric="f1")
    paper.post_claim(row="Another model")


def test_of_many_who_register_one_number_at_once_one_does(paper: Api, database: Database) -> None:
    answers = at_once(database, [partial(paper.post, PATH, json=claim_body())] * 6)
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 5
    assert len(ok(paper.get(PATH))["items"]) == 1


def test_of_many_claims_at_once_one_speaks_for_the_paper(paper: Api, database: Database) -> None:
    at_once(database, [partial(paper.post, PATH, json=claim_body(row=str(i))) for i in range(6)])
    assert [claim["is_headline"] for claim in ok(paper.get(PATH))["items"]] == [True] + [False] * 5


def test_an_impossible_value_is_refused_with_the_nearest_possible_ones(paper: Api, database: Database) -> None:
    with unchanged(database):
        for value, nearest in (("22.4", ("21.8", "22.6")), ("41.6", ("41.1", "41.9"))):
            problem = refused(
                paper.post(PATH, json=claim_body(reported_value=value, n_items=124)),
                422,
                "claim_value_impossible",
                "body.reported_value",
            )
            assert all(near in problem["detail"] for near in nearest)
            assert "force" in problem["detail"]
    assert paper.post_claim(reported_value="22.4", n_items=124, force=True)["reported_value"] == 22.4
    paper.post_claim(row="b", reported_value="22.4", n_items=125)
    paper.post_claim(row="c", reported_value="86.6", n_items=277)
    paper.post_claim(row="d", reported_value="22.4", n_items=124, reported_metric="f1")
    paper.post_claim(row="e", reported_value="22.4")


@given(st.integers(0, 1000), st.integers(1, 500))
@settings(max_examples=60)
def test_a_value_is_refused_if_and_only_if_no_count_gives_it(paper: Api, tenths: int, n: int) -> None:
    value = Decimal(tenths) / 10
    body = claim_body(reported_value=f"{value:.1f}", n_items=n, row=f"{tenths} of {n}")
    answer = paper.post(PATH, json=body)
    nearest = min(abs(Decimal(100 * k) / n - value) for k in range(n + 1))
    if answer.status_code == 201:
        assert nearest <= Decimal("0.05")
    elif answer.status_code == 422:
        refused(answer, 422, "claim_value_impossible", "body.reported_value")
        assert nearest >= Decimal("0.05")
    else:
        refused(answer, 409, "claim_exists")


def test_claims_that_are_not_there(paper: Api, database: Database) -> None:
    with unchanged(database):
        refused(paper.get(f"/v1/claims/{NOBODY}"), 404, "claim_not_found")
        for text in ("1", "not-a-uuid", "%00", NOBODY + "0"):
            refused(paper.get(f"/v1/claims/{text}"), 422, "validation_failed", "path.claim_id")
        refused(paper.post("/v1/papers/2111.09544/claims", json=claim_body()), 404, "paper_not_found")
        refused(paper.post(f"/v1/papers/{PAPER}v2/claims", json=claim_body()), 404, "version_not_found")


def test_a_claim_is_of_the_version_it_was_registered_for(paper: Api) -> None:
    ok(paper.post(f"/v1/papers/{PAPER}/versions", json={}), 201)
    assert paper.post_claim(f"{PAPER}v1")["paper_version"] == 1
    assert paper.post_claim(PAPER, row="Another")["paper_version"] == 2
    assert [claim["row"] for claim in ok(paper.get(f"/v1/papers/{PAPER}v1/claims"))["items"]] == ["A model"]
