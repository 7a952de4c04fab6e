from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest

from app.core.db import Database
from app.papers.change import change_paper
from app.papers.find import find_paper
from app.papers.ids import PaperRef
from app.papers.schemas import PaperPatch
from tests.api.helpers import (
    DRAFT,
    DRAFT_DRIVER,
    PAPER,
    Api,
    claim_body,
    counts_body,
    ok,
    paper_body,
    refused,
    unchanged,
)

SLUG = "draft:my-paper"


@pytest.fixture
def promoted(client: Api) -> Api:
    """A client of a service with a paper that was a draft, and a claim and a verdict from that time."""
    client.put_paper(SLUG)
    client.post_claim(SLUG)
    client.post_verdict(SLUG, kind="PRE")
    ok(client.patch(f"/v1/papers/{SLUG}", json={"arxiv_id": PAPER}))
    return client


def test_a_draft_is_a_paper(client: Api) -> None:
    document = client.put_paper(SLUG)
    assert document["paper"]["arxiv_id"] == SLUG
    assert document["latest_version"]["source_url"] is None
    assert ok(client.get(f"/v1/papers/{SLUG}")) == document
    refused(client.get(f"/v1/papers/{SLUG}v1"), 404, "paper_not_found")  # drafts take no vN: this is another slug


def test_a_promoted_draft_keeps_its_history(promoted: Api) -> None:
    document = ok(promoted.get(f"/v1/papers/{PAPER}"))
    assert document["paper"]["arxiv_id"] == PAPER
    assert document["verdicts"]["pre"]["claim_citation"]["paper_arxiv_id"] == PAPER
    (verdict,) = ok(promoted.get(f"/v1/papers/{PAPER}/verdicts"))["items"]
    (claim,) = ok(promoted.get(f"/v1/papers/{PAPER}/claims"))["items"]
    assert verdict["claim_id"] == claim["id"]
    assert claim["paper_arxiv_id"] == PAPER
    assert [item["arxiv_id"] for item in ok(promoted.get("/v1/papers"))["items"]] == [PAPER]


def test_every_address_of_a_draft_leads_to_its_new_one(promoted: Api) -> None:
    for below, query in product(("", "/claims", "/versions", "/versions/1", "/verdicts"), ("", "?limit=1&kind=PRE")):
        response = promoted.get(f"/v1/papers/{SLUG}{below}{query}")
        refused(response, 308, "paper_moved")
        assert response.headers["location"] == f"/v1/papers/{PAPER}{below}{query}"
        assert promoted.get(response.headers["location"]).status_code == 200
        assert promoted.head(f"/v1/papers/{SLUG}{below}{query}").headers == response.headers


def test_what_is_sent_to_the_old_address_is_sent_on_and_not_carried_out(promoted: Api, database: Database) -> None:
    sent = {
        "/claims": ("POST", claim_body(row="Another")),
        "/versions": ("POST", {}),
        "/verdicts": ("POST", counts_body()),
        "/reproductions": ("POST", {}),
        "/import": ("POST", None),
        "": ("PATCH", {"venue": "Elsewhere"}),
    }
    with unchanged(database):
        for below, (method, body) in sent.items():
            response = promoted.request(method, f"/v1/papers/{SLUG}{below}", json=body)
            refused(response, 308, "paper_moved")
            assert response.headers["location"] == f"/v1/papers/{PAPER}{below}"


def test_a_former_id_is_not_given_to_another_paper(promoted: Api, database: Database) -> None:
    with unchanged(database):
        refused(promoted.put(f"/v1/papers/{SLUG}", json=paper_body()), 409, "paper_exists")
        refused(
            promoted.put(f"/v1/papers/{SLUG}", json=paper_body(), headers={"If-None-Match": "*"}), 409, "paper_exists"
        )


def test_a_list_knows_a_paper_by_its_former_id(promoted: Api) -> None:
    assert ok(promoted.get("/v1/reproductions", params={"paper": SLUG})) == {"items": [], "next_cursor": None}


@pytest.mark.usefixtures("catalogue")
def test_a_run_that_was_asked_for_before_is_listed_under_both_ids(client: Api) -> None:
    run = ok(client.post(f"/v1/papers/{DRAFT}/reproductions", json={"driver": DRAFT_DRIVER}), 202)
    ok(client.patch(f"/v1/papers/{DRAFT}", json={"arxiv_id": "2601.00001"}))
    for paper in (DRAFT, "2601.00001", "2601.00001v1"):
        (found,) = ok(client.get("/v1/reproductions", params={"paper": paper}))["items"]
        assert (found["id"], found["paper_arxiv_id"]) == (run["id"], "2601.00001")


def test_a_taken_id_is_not_given_twice(client: Api, database: Database) -> None:
    client.put_paper(PAPER)
    client.put_paper(SLUG)
    with unchanged(database):
        refused(client.patch(f"/v1/papers/{SLUG}", json={"arxiv_id": PAPER}), 409, "paper_exists")


@pytest.mark.parametrize(
    ("paper", "arxiv_id"),
    [(SLUG, "draft:another"), (SLUG, f"{PAPER}v1"), (PAPER, "2111.09544"), (PAPER, SLUG), (PAPER, f"{PAPER}v1")],
)
def test_only_a_draft_gets_an_id_once(client: Api, database: Database, paper: str, arxiv_id: str) -> None:
    client.put_paper(paper)
    with unchanged(database):
        refused(client.patch(f"/v1/papers/{paper}", json={"arxiv_id": arxiv_id}), 422, "paper_change_invalid")


def test_an_id_that_is_none_is_named(client: Api, database: Database) -> None:
    client.put_paper(SLUG)
    with unchanged(database):
        problem = client.patch(f"/v1/papers/{SLUG}", json={"arxiv_id": "21.1"})
        refused(problem, 422, "paper_id_malformed", "body.arxiv_id")


def test_the_same_id_once_more_changes_nothing(promoted: Api) -> None:
    before = promoted.get(f"/v1/papers/{PAPER}").headers["etag"]
    assert promoted.patch(f"/v1/papers/{PAPER}", json={"arxiv_id": PAPER}).headers["etag"] == before


def test_two_drafts_that_get_one_id_at_once(client: Api, database: Database) -> None:
    for slug in ("draft:first", "draft:second"):
        client.put_paper(slug)
    with ThreadPoolExecutor(1) as thread:
        with database.unit_of_work() as session:  # the first has its id, but nobody knows it yet
            change_paper(session, find_paper(session, PaperRef("draft:first"), lock=True), PaperPatch(arxiv_id=PAPER))
            answer = thread.submit(client.patch, "/v1/papers/draft:second", json={"arxiv_id": PAPER})
            with pytest.raises(TimeoutError):
                answer.result(timeout=0.5)
        refused(answer.result(), 409, "paper_exists")
    assert ok(client.get("/v1/papers/draft:second"))["paper"]["arxiv_id"] == "draft:second"
    assert client.get("/v1/papers/draft:first").headers["location"] == f"/v1/papers/{PAPER}"
