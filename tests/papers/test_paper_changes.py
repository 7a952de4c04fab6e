from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from httpx2 import Response

from app.core.db import Database
from tests.api.helpers import NOBODY, PAPER, Api, Json, at_once, ok, paper_body, refused, unchanged

PATH = f"/v1/papers/{PAPER}"


def test_registering_and_replacing(client: Api) -> None:
    new = client.put(PATH, json=paper_body(venue="ICLR 2023", source_url="https://example.org/ä b"))
    assert (new.status_code, new.headers["location"]) == (201, PATH)
    assert new.json()["latest_version"]["source_url"] == "https://example.org/%C3%A4%20b"
    again = client.put(PATH, json=paper_body(title="Another title", withdrawn=True))
    assert again.status_code == 200
    paper = again.json()["paper"]
    assert (paper["title"], paper["venue"], paper["withdrawn"]) == ("Another title", None, True)
    assert again.json()["latest_version"]["id"] == new.json()["latest_version"]["id"]


def test_what_is_left_out_of_a_patch_stays(client: Api) -> None:
    client.put_paper(venue="ICLR 2023", primary_category="cs.CL", published_at="2021-11-18T00:00:00Z")
    before = ok(client.get(PATH))["paper"]
    assert ok(client.patch(PATH, json={}))["paper"] == before
    assert ok(client.patch(PATH, json={"venue": None}))["paper"] == before | {"venue": None}
    changed = {"title": "T", "abstract": "A", "primary_category": "math.GT", "withdrawn": True, "published_at": None}
    assert ok(client.patch(PATH, json=changed))["paper"] == before | changed | {"venue": None}


def test_a_merge_patch_is_json_too(client: Api) -> None:
    client.put_paper()
    headers = {"Content-Type": "application/merge-patch+json; charset=utf-8"}
    assert ok(client.patch(PATH, content=b'{"venue":"ICLR"}', headers=headers))["paper"]["venue"] == "ICLR"


def test_choosing_the_claim_that_speaks_for_the_paper(api: Api) -> None:
    first = ok(api.get(f"{PATH}/claims"))["items"][0]
    second = api.post_claim(row="Another model")
    of_second = api.post_verdict(claim=second["id"])
    assert [first["is_headline"], second["is_headline"]] == [True, False]
    assert ok(api.get(PATH))["verdict"] is None
    assert ok(api.patch(PATH, json={"headline_claim": second["id"]}))["verdict"]["id"] == of_second["id"]
    claims = ok(api.get(f"{PATH}/claims"))["items"]
    assert [claim["is_headline"] for claim in claims] == [False, True]
    assert ok(api.get("/v1/papers?status=reproduced"))["items"][0]["arxiv_id"] == PAPER


def test_a_claim_of_nobody_or_of_another_paper_speaks_for_none(api: Api, database: Database) -> None:
    api.put_paper("2111.09544")
    other = api.post_claim("2111.09544")
    with unchanged(database):
        for claim in (NOBODY, other["id"]):
            refused(api.patch(PATH, json={"headline_claim": claim}), 422, "paper_change_invalid")


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_version_is_not_changed_as_a_paper(api: Api, database: Database, method: str) -> None:
    with unchanged(database):
        refused(api.request(method, f"{PATH}v1", json=paper_body()), 422, "version_not_meant")
        refused(api.request("PUT", "/v1/papers/2111.09544v1", json=paper_body()), 422, "version_not_meant")


def test_a_paper_that_is_not_there(client: Api, database: Database) -> None:
    with unchanged(database):
        for below in ("", "v1", "/claims", "/versions", "/versions/1", "/verdicts"):
            problem = refused(client.get(f"{PATH}{below}"), 404, "paper_not_found")
            assert f"PUT /v1/papers/{PAPER}" in problem["detail"]
        refused(client.patch(PATH, json={}), 404, "paper_not_found")


def test_null_is_named_where_it_cannot_be(api: Api, database: Database) -> None:
    names = ["arxiv_id", "title", "abstract", "withdrawn", "headline_claim"]
    with unchanged(database):
        for name in names:
            refused(api.patch(PATH, json={name: None}), 422, "validation_failed", f"body.{name}")
        problem = api.patch(PATH, json=dict.fromkeys(names))
        refused(problem, 422, "validation_failed", *(f"body.{name}" for name in names))


BAD: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"title": ""}, ("body.title",)),
    ({"title": "  \n"}, ("body.title",)),
    ({"title": 5}, ("body.title",)),
    ({"title": ["a"]}, ("body.title",)),
    ({"title": "a" * 1001}, ("body.title",)),
    ({"title": "a\0b"}, ("body.title",)),
    ({"abstract": "a" * 20_001}, ("body.abstract",)),
    ({"abstract": {}}, ("body.abstract",)),
    ({"venue": ""}, ("body.venue",)),
    ({"primary_category": "CS.CL"}, ("body.primary_category",)),
    ({"primary_category": "cs.CL" * 20}, ("body.primary_category",)),
    ({"primary_category": "cs.CL\n"}, ("body.primary_category",)),
    ({"published_at": "yesterday"}, ("body.published_at",)),
    ({"published_at": "2023-05-01T12:00:00"}, ("body.published_at",)),
    ({"published_at": "9999-12-31T23:59:59-23:59"}, ("body.published_at",)),
    ({"published_at": 1e300}, ("body.published_at",)),
    ({"withdrawn": "no"}, ("body.withdrawn",)),
    ({"withdrawn": 1}, ("body.withdrawn",)),
    ({"unknown": 1}, ("body.unknown",)),
    ({"title": 5, "abstract": "", "colour": "red"}, ("body.title", "body.abstract", "body.colour")),
]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_each_bad_field_is_named_and_nothing_is_written(api: Api, database: Database, method: str) -> None:
    with unchanged(database):
        for fields, named in BAD:
            refused(api.request(method, PATH, json=paper_body(**fields)), 422, "validation_failed", *named)


def test_addresses_of_versions_are_http(api: Api, database: Database) -> None:
    bad = ["ftp://example.org", "javascript:alert(1)", "example.org", "http://", "https://x/" + "a" * 2000, "", 5, "\0"]
    with unchanged(database):
        for url in bad:
            refused(api.put(PATH, json=paper_body(source_url=url)), 422, "validation_failed", "body.source_url")
            posted = api.post(f"{PATH}/versions", json={"rendered_html_url": url})
            refused(posted, 422, "validation_failed", "body.rendered_html_url")


def test_if_match_holds_a_change_to_the_state_its_author_saw(client: Api, database: Database) -> None:
    client.put_paper()
    seen = client.get(PATH).headers["etag"]
    assert client.patch(PATH, json={"venue": "ICLR"}, headers={"If-Match": seen}).status_code == 200
    with unchanged(database):
        for method in ("PATCH", "PUT"):
            for header in (seen, f"W/{seen}", '"x"', ""):
                answer = client.request(method, PATH, json=paper_body(venue="ACL"), headers={"If-Match": header})
                refused(answer, 412, "precondition_failed")
                assert answer.headers["etag"] == client.get(PATH).headers["etag"]
    present = client.get(PATH).headers["etag"]
    for title, header in enumerate(("{}", '"x", {}', "*")):
        answer = client.put(PATH, json=paper_body(title=str(title)), headers={"If-Match": header.format(present)})
        assert answer.status_code == 200
        assert answer.headers["etag"] not in {seen, present}
        present = answer.headers["etag"]


def test_a_state_of_what_is_not_there_cannot_be_changed(client: Api, database: Database) -> None:
    with unchanged(database):
        for header in ("*", '"x"'):
            answer = client.put(PATH, json=paper_body(), headers={"If-Match": header})
            refused(answer, 412, "precondition_failed")


def test_if_none_match_only_registers(client: Api, database: Database) -> None:
    assert client.put(PATH, json=paper_body(), headers={"If-None-Match": "*"}).status_code == 201
    with unchanged(database):
        answer = client.put(PATH, json=paper_body(title="Another"), headers={"If-None-Match": "*"})
        refused(answer, 412, "precondition_failed")


def test_of_many_who_register_only_if_nobody_has_one_does(client: Api) -> None:
    def put(i: int) -> int:
        return client.put(PATH, json=paper_body(title=str(i)), headers={"If-None-Match": "*"}).status_code

    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(put, range(8)))
    assert sorted(statuses) == [201, *[412] * 7]
    assert ok(client.get(PATH))["paper"]["title"] == str(statuses.index(201))


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_of_many_changes_to_the_same_state_one_is_made(client: Api, database: Database, method: str) -> None:
    client.put_paper()
    seen = client.get(PATH).headers["etag"]

    def change(i: int) -> Callable[[], Response]:
        return lambda: client.request(method, PATH, json=paper_body(venue=str(i)), headers={"If-Match": seen})

    statuses = [answer.status_code for answer in at_once(database, [change(i) for i in range(6)])]
    assert sorted(statuses) == [200, *[412] * 5]
    assert ok(client.get(PATH))["paper"]["venue"] == str(statuses.index(200))


def test_of_many_changes_each_is_in_the_document(client: Api, database: Database) -> None:
    client.put_paper()
    changes: list[Json] = [{"venue": "ICLR"}, {"title": "T"}, {"withdrawn": True}, {"primary_category": "cs.CL"}]
    at_once(database, [partial(client.patch, PATH, json=change) for change in changes])
    paper = ok(client.get(PATH))["paper"]
    assert all(paper[name] == value for change in changes for name, value in change.items())


def test_of_many_who_register_at_once_one_is_told_that_it_is_new(client: Api) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda i: client.put(PATH, json=paper_body(title=str(i))), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.json()["latest_version"]["id"] for answer in answers}) == 1
    assert client.get(PATH).headers["etag"] in {answer.headers["etag"] for answer in answers}
