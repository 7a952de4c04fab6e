"""What is not there, or goes wrong: a page for whoever reads pages, a problem document for everybody else."""

import pytest
from sqlalchemy.exc import OperationalError

from app.dashboard import runs
from app.dashboard.errors import prefers_page
from tests.api.helpers import NOBODY, PAPER, Api, refused
from tests.dashboard.reading import checked, text_of, tree

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (BROWSER["Accept"], True),
        ("text/html", True),
        ("TEXT/HTML; charset=utf-8", True),
        ("application/xhtml+xml;q=0.1", True),
        ("text/html;q=0.9, application/json;q=0.1", True),
        ("", False),
        ("*/*", False),
        ("text/*", False),
        ("application/json", False),
        ("text/html;q=0.2, application/problem+json", False),
        ("text/html;q=0", False),
        ("text/html;q=odd", False),
    ],
)
def test_who_reads_pages(accept: str, *, expected: bool) -> None:
    assert prefers_page(accept) is expected


def test_an_unknown_address_is_a_page_to_a_browser_and_a_problem_to_others(client: Api) -> None:
    odd = ("/%00", "/%E2%80%AEx", "/%2Felsewhere")
    for path in ("/nothing", "/queue/nothing", "/papers/a/b/c", "/static/app.css", *odd):
        answer = client.get(path, headers=BROWSER)
        checked(answer, 404)
        assert answer.headers["cache-control"] == "no-store"
        assert "Search the papers" in text_of(answer.content)
        refused(client.get(path), 404, "asset_not_found" if "static" in path else "not_found")
        head = client.request("HEAD", path, headers=BROWSER)
        assert (head.status_code, head.content) == (404, b"")
    assert "There is no such page" in text_of(client.get("/nothing", headers=BROWSER).content)
    for path in ("/v1/nothing", "/v1"):
        refused(client.get(path, headers=BROWSER), 404, "not_found")


def test_an_address_that_names_a_paper_leads_to_it(client: Api) -> None:
    for path, paper in (("/abs/2111.09543v2", "2111.09543v2"), ("/pdf/hep-th/9901001", "hep-th/9901001")):
        page = tree(client.get(path, headers=BROWSER).content)
        assert f"/papers/{paper}" in [link.get("href") for link in page.iter("a")]


def test_what_stands_where_an_id_belongs_may_be_looked_for(client: Api) -> None:
    answer = client.get("/papers/attention is", headers=BROWSER)
    checked(answer, 422)
    (field,) = [one for one in tree(answer.content).iter("input") if one.get("name") == "q"]
    assert field.get("value") == "attention is"
    checked(client.get("/verdicts/nonsense", headers=BROWSER), 422)


def test_a_page_says_nothing_of_addresses_for_programs(client: Api) -> None:
    client.put_paper(PAPER)
    for path in (f"/papers/{PAPER}v9", "/papers/2401.00001", "/drivers/none", f"/verdicts/{NOBODY}"):
        text = text_of(client.get(path, headers=BROWSER).content)
        assert "There is no" in text or "has no version 9 here." in text
        assert "/v1/" not in text


def test_a_slash_too_many_leads_to_the_page(client: Api) -> None:
    for path, location in (
        ("/queue/", "/queue"),
        ("/queue/?cursor=a%20b", "/queue?cursor=a%20b"),
        ("/papers", "/"),
        ("/papers/?q=x", "/?q=x"),
        (f"/papers/{PAPER}/", f"/papers/{PAPER}"),
    ):
        moved = client.get(path, headers=BROWSER)
        assert (moved.status_code, moved.headers["location"]) == (308, location)
    for path in ("/%2Fevil.example/", "/%2F/queue/", "/nothing/"):
        assert client.get(path, headers=BROWSER).status_code == 404


def test_a_page_that_is_sent_to_says_that_it_is_only_read(client: Api) -> None:
    answer = client.post("/queue", headers=BROWSER)
    checked(answer, 405)
    assert answer.headers["allow"] == "GET, HEAD"
    assert "only read" in text_of(answer.content)
    refused(client.post("/queue"), 405, "method_not_allowed")


def test_a_fault_of_ours_is_a_page_with_its_incident(client: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        message = "secret words"
        raise RuntimeError(message)

    monkeypatch.setattr(runs, "read_crew", broken)
    answer = client.get("/workers", headers=BROWSER)
    checked(answer, 500)
    assert "logged as incident" in text_of(answer.content)
    assert "secret" not in answer.text
    refused(client.get("/workers"), 500, "internal_error")

    def away(*_: object) -> None:
        raise OperationalError("SELECT", {}, Exception("secret words"))

    monkeypatch.setattr(runs, "read_crew", away)
    answer = client.get("/workers", headers=BROWSER)
    checked(answer, 503)
    assert answer.headers["retry-after"] == "2"
    assert "secret" not in answer.text
