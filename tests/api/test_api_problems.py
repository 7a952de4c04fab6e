"""What no resource understands is refused in one form, whatever the resource is."""

import asyncio
import gzip
import json
from itertools import product
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.db import Database
from app.core.edge import Edge
from tests.api.helpers import NOBODY, PAPER, Api, claim_body, counts_body, exchange, ok, paper_body, refused, unchanged

LIMIT = 1024 * 1024
WRITES = (
    ("PUT", f"/v1/papers/{PAPER}"),
    ("PATCH", f"/v1/papers/{PAPER}"),
    ("POST", f"/v1/papers/{PAPER}/versions"),
    ("POST", f"/v1/papers/{PAPER}/claims"),
    ("POST", f"/v1/papers/{PAPER}/verdicts"),
    ("POST", f"/v1/papers/{PAPER}/reproductions"),
    ("POST", "/v1/designs"),
)
READS = (
    "/v1/papers",
    f"/v1/papers/{PAPER}",
    f"/v1/papers/{PAPER}/versions",
    f"/v1/papers/{PAPER}/versions/1",
    f"/v1/papers/{PAPER}/claims",
    f"/v1/papers/{PAPER}/verdicts",
    "/v1/verdicts",
    "/v1/reproductions",
    "/v1/drivers",
)
JSON = {"Content-Type": "application/json"}


def test_addresses_that_do_not_exist(client: Api) -> None:
    paths = (
        "/nothing",
        "/v1",
        "/v1/",
        "/v1/nothing",
        "/v2/papers",
        "/v1/papers/2111.09543/nothing",
        "/v1//papers",
        "/v1/papers/",
    )
    for path in (*paths, "/v1/papers%2F..%2F..%2Fetc", "/%00", "/v1/%FF", f"/v1/papers/{PAPER}/claims/"):
        for method in ("GET", "POST", "DELETE", "OPTIONS"):
            refused(client.request(method, path), 404, "not_found")
        head = client.head(path)
        assert (head.status_code, head.content) == (404, b"")


def test_methods_that_an_address_does_not_have(client: Api) -> None:
    allowed = {
        "/v1/papers": "GET, HEAD",
        f"/v1/papers/{PAPER}": "GET, HEAD, PUT, PATCH",
        "/v1/papers/hep-th/9901001v1": "GET, HEAD, PUT, PATCH",
        f"/v1/papers/{PAPER}/versions": "GET, HEAD, POST",
        f"/v1/papers/{PAPER}/versions/1": "GET, HEAD",
        f"/v1/papers/{PAPER}/claims": "GET, HEAD, POST",
        f"/v1/papers/{PAPER}/verdicts": "GET, HEAD, POST",
        f"/v1/papers/{PAPER}/reproductions": "POST",
        f"/v1/papers/{PAPER}/import": "POST",
        f"/v1/claims/{NOBODY}": "GET, HEAD",
        "/v1/verdicts": "GET, HEAD",
        f"/v1/verdicts/{NOBODY}/evidence": "GET, HEAD",
        f"/v1/reproductions/{NOBODY}/cancel": "POST",
        "/v1/drivers/x": "GET, HEAD",
        "/healthz": "GET, HEAD",
    }
    for path, methods in allowed.items():
        for method in {"DELETE", "TRACE", "PUT", "POST", "GET"} - set(methods.split(", ")):
            answer = client.request(method, path)
            refused(answer, 405, "method_not_allowed")
            assert answer.headers["allow"] == methods


def test_a_head_is_a_get_without_its_body(api: Api) -> None:
    for path in (*READS, "/healthz", "/readyz", "/openapi.json", f"/v1/claims/{NOBODY}", "/v1/papers?limit=0"):
        got, head = api.get(path), api.head(path)
        assert (head.status_code, head.content) == (got.status_code, b"")
        assert head.headers == got.headers


def test_a_server_gets_no_body_to_send_after_a_head(app: FastAPI, api: Api) -> None:
    predictions = f"/v1/verdicts/{api.post_verdict()['id']}/predictions"
    portal = api.portal
    assert portal is not None
    for path in ("/v1/papers", f"/v1/papers/{PAPER}", predictions, "/v1/nothing", "/openapi.json"):
        start, *bodies = portal.call(exchange, app, "HEAD", path)
        like, *whole = portal.call(exchange, app, "GET", path)
        assert start == like
        assert not any(message["body"] for message in bodies)
        assert any(message["body"] for message in whole) == (path != predictions)


def test_bodies_of_another_type(api: Api, database: Database) -> None:
    types: list[str | None] = [None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
    types += [
        "application/vnd.api+json",
        "application/json-seq",
        "application",
        "text/json",
        "json",
        "*/*",
        "\xe4/json",
    ]
    with unchanged(database):
        for method, path in WRITES:
            for media in types:
                headers = {} if media is None else {b"content-type": media.encode("latin-1")}
                answer = api.request(method, path, content=json.dumps(paper_body()), headers=headers)
                refused(answer, 415, "unsupported_media_type")
                assert answer.headers["accept"] == "application/json"
    for media in ("application/json", "Application/JSON; charset=UTF-8", "application/json;x=y"):
        ok(api.put(f"/v1/papers/{PAPER}", content=json.dumps(paper_body()), headers={"Content-Type": media}))


def test_two_content_types_are_not_a_way_around(api: Api, database: Database) -> None:
    with unchanged(database):
        headers = [("Content-Type", "text/plain"), ("Content-Type", "application/json")]
        answer = api.put(f"/v1/papers/{PAPER}", content=json.dumps(paper_body(title="B")), headers=headers)
        refused(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("coding", ["gzip", "br, gzip", "GZIP", "deflate", "x" * 5000])
def test_compressed_bodies_are_not_unpacked(api: Api, database: Database, coding: str) -> None:
    body = gzip.compress(b" " * 10_000_000 + json.dumps(paper_body()).encode())
    with unchanged(database):
        for method, path in (*WRITES, ("POST", "/v1/papers:batchGet")):
            answer = api.request(method, path, content=body, headers={**JSON, "Content-Encoding": coding})
            refused(answer, 415, "unsupported_media_type")
            assert answer.headers["accept-encoding"] == "identity"
        headers = {"Content-Type": "text/csv", "Content-Encoding": coding}
        answer = api.post(f"/v1/papers/{PAPER}/claims:import", content=body, headers=headers)
        refused(answer, 415, "unsupported_media_type")
    ok(api.put(f"/v1/papers/{PAPER}", json=paper_body(), headers={"Content-Encoding": "identity"}))


NO_JSON = {
    b"{": "line 1, column 2",
    b"{'a': 1}": "line 1, column 2",
    b"[1,]": "line 1, column 4",
    b"nul": "line 1, column 1",
    b'{"a": 01}': "line 1, column 8",
    b"\x00": "line 1, column 1",
    b'"\\x"': "line 1, column 2",
    b"{}{}": "line 1, column 3",
    '{"title": "ä🧪",\r\n "abstract" "a"}'.encode(): "line 2, column 13",
}


def test_what_is_no_json(api: Api, database: Database) -> None:
    with unchanged(database):
        for (content, place), (method, path) in product(NO_JSON.items(), WRITES):
            problem = refused(api.request(method, path, content=content, headers=JSON), 400, "json_invalid", "body")
            assert f"from {place}: " in problem["detail"]
            assert problem["errors"][0]["detail"].startswith(place)


def test_no_body_at_all(api: Api, database: Database) -> None:
    with unchanged(database):
        for method, path in WRITES:
            problem = refused(api.request(method, path, content=b"", headers=JSON), 422, "validation_failed", "body")
            assert "no body" in problem["detail"]


def test_a_bad_field_is_told_how_to_be_mended(api: Api) -> None:
    numbers = {"reported_value": "91.8", "unit": "percent", "margin": 2, "slice_size": 0.2, "populations": 5}
    said = {
        one["field"]: one["detail"]
        for one in refused(api.post("/v1/designs", json=numbers), 422, "validation_failed")["errors"]
    }
    assert said["body.margin"] == "This has to be less than 0.5. Delta, as a fraction: 0.01 is one point."
    assert "There are: reported_value, unit, population, margin" in said["body.slice_size"]
    assert said["body.populations"] == "There is no field of this name; population is meant, perhaps."
    evidence = {"counts": [{"n": 5, "corect": 4}]}
    (wrong, missing) = (
        refused(
            api.post(f"/v1/papers/{PAPER}/verdicts", json=counts_body(evidence=evidence)), 422, "validation_failed"
        )["errors"][place]
        for place in (-1, 0)
    )
    assert (wrong["field"], "correct is meant" in wrong["detail"]) == ("body.evidence.counts.0.corect", True)
    assert (missing["field"], "has to be given" in missing["detail"]) == ("body.evidence.counts.0.correct", True)
    for path in ("/v1/verdicts/none", "/v1/claims/1", f"/v1/verdicts/{NOBODY}0"):
        (error,) = refused(api.get(path), 422, "validation_failed")["errors"]
        assert "Ids are UUIDs, like" in error["detail"]


NO_OBJECT = [b"null", b"[]", b"1", b'"text"', b"[{}]", b"true"]


def test_json_that_is_no_object(api: Api, database: Database) -> None:
    with unchanged(database):
        for content, (method, path) in product(NO_OBJECT, WRITES):
            refused(api.request(method, path, content=content, headers=JSON), 422, "validation_failed", "body")


NESTED = (b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000)


UNREADABLE = [*NESTED, b"\xff", b'{"title": "\xc3\x28"}', b'{"n": ' + b"9" * 5000 + b"}"]


def test_json_that_cannot_be_read(api: Api, database: Database) -> None:
    with unchanged(database):
        for content, (method, path) in product(UNREADABLE, WRITES):
            refused(api.request(method, path, content=content, headers=JSON), 400, "body_unreadable")


def test_json_nested_as_deeply_as_can_be_read(api: Api, database: Database) -> None:
    deep = b'{"title": ' + b"[" * 900 + b"]" * 900 + b', "abstract": "a"}'
    with unchanged(database):
        refused(api.put(f"/v1/papers/{PAPER}", content=deep, headers=JSON), 422, "validation_failed", "body.title")


def test_lone_surrogates_and_nul(api: Api, database: Database) -> None:
    bodies = (
        b'{"title": "\\ud800", "abstract": "a"}',
        b'{"title": "a", "abstract": "\\udfff\\ud800"}',
        b'{"title": "a", "abstract": "b", "\\ud800": 1}',
        b'{"title": "\\u0000", "abstract": "a"}',
        b'{"title": "a", "abstract": "a\\u0000b"}',
    )
    with unchanged(database):
        for content in bodies:
            refused(api.put(f"/v1/papers/{PAPER}", content=content, headers=JSON), 422, "validation_failed")
    pair = b'{"title": "\\ud83e\\uddea", "abstract": "a"}'
    assert ok(api.put(f"/v1/papers/{PAPER}", content=pair, headers=JSON))["paper"]["title"] == "🧪"


def test_a_body_that_says_that_it_is_too_large(api: Api, database: Database) -> None:
    with unchanged(database):
        for method, path in WRITES:
            limit = 32 * LIMIT if path.endswith("verdicts") else LIMIT
            headers = JSON | {"Content-Length": str(limit + 1)}
            refused(api.request(method, path, content=b"{}", headers=headers), 413, "body_too_large")


def test_a_body_that_turns_out_to_be_too_large_is_not_read_to_its_end(
    app: FastAPI, api: Api, database: Database
) -> None:
    async def send_without_end(method: str, path: str) -> tuple[int, list[dict[str, Any]]]:
        pieces, answer = 0, []

        async def receive() -> dict[str, Any]:
            nonlocal pieces
            pieces += 1
            return {"type": "http.request", "body": b" " * 65_536, "more_body": True}

        async def send(message: Any) -> None:  # noqa: ANN401  # ASGI
            answer.append(message)

        headers = [
            (b"content-type", b"application/json"),
            (b"transfer-encoding", b"chunked"),
            (b"authorization", f"Bearer {api.key}".encode()),
        ]
        scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": headers}
        await app(scope, receive, send)
        return pieces, answer

    with unchanged(database):
        for method, path in WRITES:
            limit = 32 * LIMIT if path.endswith("verdicts") else LIMIT
            pieces, (start, body, *_) = asyncio.run(send_without_end(method, path))
            assert pieces == limit // 65_536 + 1
            assert start["status"] == 413
            assert json.loads(body["body"])["code"] == "body_too_large"
    ok(api.put(f"/v1/papers/{PAPER}", content=iter([b'{"title": "T",', b' "abstract": "A"}']), headers=JSON))


def test_a_large_body_where_none_is_read(api: Api, database: Database) -> None:
    with unchanged(database):
        for method, path in (
            ("GET", f"/v1/papers/{PAPER}"),
            ("POST", f"/v1/reproductions/{NOBODY}/cancel"),
            ("POST", "/x"),
        ):
            answer = api.request(method, path, content=b" " * (LIMIT + 1), headers=JSON)
            refused(answer, 413, "body_too_large")


def test_a_body_at_the_limit_is_read(client: Api) -> None:
    body = json.dumps(paper_body()).encode()
    assert client.put(f"/v1/papers/{PAPER}", content=body.ljust(LIMIT), headers=JSON).status_code == 201
    refused(client.put(f"/v1/papers/{PAPER}", content=body.ljust(LIMIT + 1), headers=JSON), 413, "body_too_large")


def test_headers_that_make_no_sense(api: Api) -> None:
    for headers in (
        [("If-None-Match", "\x7f"), ("If-None-Match", '"')],
        [("Accept", "]["), ("Accept", ";;;")],
        [("Cookie", "a" * 8000)],
        [("Host", "[")],
        [("Host", "a/b?c#d")],
        [("X-Forwarded-Host", "evil.example"), ("X-Forwarded-Host", "b")],
        [("Content-Length", "0"), ("Transfer-Encoding", "chunked")],
        [("Range", "bytes=0-1")],
    ):
        for path in READS:
            answer = api.get(f"{path}?limit=1", headers=headers)
            assert answer.status_code == 200, headers


def test_the_edge_leaves_other_protocols_alone() -> None:
    seen: list[str] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:  # noqa: ANN401  # ASGI
        seen.append(scope["type"])

    coroutine = Edge(app)({"type": "lifespan"}, None, None)  # type: ignore[arg-type]  # neither is used
    with pytest.raises(StopIteration):
        coroutine.send(None)
    assert seen == ["lifespan"]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


def mutated(body: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """The body with some of its fields, at any depth of evidence too, replaced by anything."""
    names = st.dictionaries(st.sampled_from([*body, "extra"]), ANYTHING, max_size=3)
    return names.map(lambda changes: body | changes)


BODIES = st.one_of(
    mutated(paper_body(venue="v", withdrawn=False)).map(lambda body: ("PUT", f"/v1/papers/{PAPER}", body)),
    mutated(paper_body()).map(lambda body: ("PATCH", f"/v1/papers/{PAPER}", body)),
    mutated(claim_body(n_items=10)).map(lambda body: ("POST", f"/v1/papers/{PAPER}/claims", body)),
    mutated({"source_url": None, "rendering_engine": "x"}).map(
        lambda body: ("POST", f"/v1/papers/{PAPER}/versions", body)
    ),
    mutated({"claim": None, "driver": None, "slice_size": 5}).map(
        lambda body: ("POST", f"/v1/papers/{PAPER}/reproductions", body)
    ),
    mutated(counts_body()).map(lambda body: ("POST", f"/v1/papers/{PAPER}/verdicts", body)),
    mutated(counts_body()["evidence"] | {"environment": {}, "labels": None}).map(
        lambda evidence: ("POST", f"/v1/papers/{PAPER}/verdicts", counts_body(evidence=evidence))
    ),
    mutated(counts_body()["evidence"]["counts"][0]).map(
        lambda one: ("POST", f"/v1/papers/{PAPER}/verdicts", counts_body(evidence={"counts": [one]}))
    ),
)


@given(BODIES)
@settings(max_examples=150)
def test_no_body_breaks_anything(api: Api, sent: tuple[str, str, dict[str, Any]]) -> None:
    method, path, body = sent
    content = json.dumps(body).encode()
    answer = api.request(method, path, content=content, headers=JSON)
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        refused(answer, answer.status_code, answer.json()["code"])


PARAMETERS = ["q", "category", "venue", "status", "withdrawn", "sort", "limit", "cursor", "kind", "claim", "is_current"]
QUERIES = st.dictionaries(
    st.sampled_from([*PARAMETERS, "paper", "state"]), st.text(max_size=30) | st.integers().map(str), max_size=4
)


@given(st.sampled_from(READS), QUERIES)
@settings(max_examples=150)
def test_no_query_breaks_anything(api: Api, path: str, params: dict[str, str]) -> None:
    sent = {name: value.encode("utf-8", "replace").decode() for name, value in params.items()}
    answer = api.get(path, params=sent)
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        refused(answer, answer.status_code, answer.json()["code"])
