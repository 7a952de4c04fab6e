"""Every GET of a resource has a strong tag that stands for what it says, and honours If-None-Match."""

import re

import pytest

from app.core.db import Database
from tests.api.helpers import DRIVER, PAPER, Api, claim_body, counted, counts_body, ok, refused, unchanged

STRONG = re.compile(r'"[0-9a-f]{32}(-(zstd|br|gzip))?"')
OTHER = '"00000000000000000000000000000000"'


@pytest.fixture
def addresses(client: Api, catalogue: object) -> list[str]:  # noqa: ARG001  # the drivers have to be there
    """One address of each resource that is read."""
    claim = ok(client.get(f"/v1/papers/{PAPER}/claims"))["items"][0]["id"]
    verdict = client.post_verdict()["id"]
    run = ok(client.post(f"/v1/papers/{PAPER}/reproductions", json={}), 202)["id"]
    return [
        "/v1/papers",
        f"/v1/papers/{PAPER}",
        f"/v1/papers/{PAPER}v1",
        f"/v1/papers/{PAPER}/versions",
        f"/v1/papers/{PAPER}/versions/1",
        f"/v1/papers/{PAPER}/claims",
        f"/v1/claims/{claim}",
        f"/v1/papers/{PAPER}/verdicts",
        "/v1/verdicts",
        f"/v1/verdicts/{verdict}",
        f"/v1/verdicts/{verdict}/evidence",
        f"/v1/verdicts/{verdict}/predictions",
        "/v1/reproductions",
        f"/v1/reproductions/{run}",
        "/v1/drivers",
        f"/v1/drivers/{DRIVER}",
        "/openapi.json",
    ]


def test_every_resource_has_a_strong_tag_and_says_when_it_is_held(client: Api, addresses: list[str]) -> None:
    for path in addresses:
        first = client.get(path)
        tag = first.headers["etag"]
        assert STRONG.fullmatch(tag), path
        assert client.get(path).headers["etag"] == tag
        for header in (tag, "*", f"W/{tag}", f"{OTHER}, {tag}", f" {OTHER} ,W/{tag},"):
            for method in ("GET", "HEAD"):
                held = client.request(method, path, headers={"If-None-Match": header})
                assert (held.status_code, held.content) == (304, b""), (path, header)
                assert held.headers["etag"] == (re.sub(r'-\w+"$', '"', tag) if header == "*" else tag)
                assert held.headers["cache-control"] == first.headers["cache-control"]
                assert "content-type" not in held.headers
        lines = [("If-None-Match", OTHER), ("If-None-Match", tag)]
        assert client.get(path, headers=lines).status_code == 304
        for header in (OTHER, tag.strip('"'), "", f"w/{tag}"):
            assert client.get(path, headers={"If-None-Match": header}).content == first.content


def test_a_read_that_is_meant_for_another_state_is_refused(client: Api, addresses: list[str]) -> None:
    for path in addresses:
        first = client.get(path)
        tag = first.headers["etag"]
        plain = re.sub(r'-\w+"$', '"', tag)
        for header in (tag, plain, "*", f"{OTHER}, {tag}"):
            assert client.get(path, headers={"If-Match": header}).content == first.content, (path, header)
            held = {"If-Match": header, "If-None-Match": tag}
            assert client.get(path, headers=held).status_code == 304
        for header in (OTHER, f"W/{tag}", ""):
            for more in ({}, {"If-None-Match": tag}):
                answer = client.get(path, headers={"If-Match": header, **more})
                refused(answer, 412, "precondition_failed")
                assert answer.headers["cache-control"] == "no-store"
                assert answer.headers["etag"] == tag or more
        head = client.request("HEAD", path, headers={"If-Match": OTHER})
        assert (head.status_code, head.content) == (412, b"")
    refused(client.get("/v1/papers?limit=0", headers={"If-Match": OTHER}), 422, "validation_failed")


def test_no_two_resources_share_a_tag(client: Api, addresses: list[str]) -> None:
    tags: dict[str, bytes] = {}
    for path in addresses:
        answer = client.get(path)
        assert tags.setdefault(answer.headers["etag"], answer.content) == answer.content, path


def test_a_change_changes_the_tags_of_what_shows_it_and_of_nothing_else(client: Api, addresses: list[str]) -> None:
    def tags() -> dict[str, str]:
        return {path: client.get(path).headers["etag"] for path in addresses}

    def changed_by(method: str, path: str, body: object) -> set[str]:
        before = tags()
        assert client.request(method, path, json=body).status_code < 300
        after = tags()
        return {re.sub(r"[0-9a-f-]{36}", "*", path) for path in addresses if before[path] != after[path]}

    paper = f"/v1/papers/{PAPER}"
    assert changed_by("PATCH", paper, {"venue": "ACL"}) == {"/v1/papers", paper, f"{paper}v1"}
    assert changed_by("PATCH", paper, {"venue": "ACL"}) == set()
    assert changed_by("POST", f"{paper}/verdicts", counts_body()) == {
        "/v1/papers",
        paper,
        f"{paper}v1",
        f"{paper}/verdicts",
        "/v1/verdicts",
        "/v1/verdicts/*",
    }
    assert changed_by("POST", f"{paper}/versions", {}) == {paper, f"{paper}/versions"}
    run = addresses[-4]
    assert changed_by("POST", f"{run}/cancel", None) == {"/v1/reproductions", "/v1/reproductions/*"}


def test_a_document_that_is_held_costs_one_statement(client: Api, database: Database) -> None:
    client.put_paper()
    tag = client.get(f"/v1/papers/{PAPER}").headers["etag"]
    for query, expected in (("?", 0), ("?not=hot", 1)):
        with counted(database) as statements:
            answer = client.get(f"/v1/papers/{PAPER}{query}", headers={"If-None-Match": tag})
        assert (answer.status_code, len(statements)) == (304, expected)


def test_a_change_answers_with_the_tag_that_a_reader_gets(client: Api) -> None:
    path = f"/v1/papers/{PAPER}"
    put = {"title": "T", "abstract": "A", "published_at": "2021-11-18T00:00:00.999999+01:00"}
    for method, body in (("PUT", put), ("PATCH", {"venue": "Größe"})):
        answer = client.request(method, path, json=body)
        assert answer.headers["etag"] == client.get(path).headers["etag"]
        assert answer.content == client.get(path).content
    for below, fields in (("claims", claim_body()), ("verdicts", counts_body())):
        made = client.post(f"{path}/{below}", json=fields)
        read = client.get(made.headers["location"])
        assert (read.content, read.headers["etag"]) == (made.content, made.headers["etag"])


def test_errors_are_never_held(client: Api, database: Database) -> None:
    with unchanged(database):
        refused(client.get(f"/v1/papers/{PAPER}", headers={"If-None-Match": "*"}), 404, "paper_not_found")
        refused(client.get("/v1/papers?limit=0", headers={"If-None-Match": "*"}), 422, "validation_failed")
