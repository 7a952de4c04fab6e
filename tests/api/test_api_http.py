"""What caches, browsers and pages of other origins are told: by resource, for GET and HEAD, in every coding."""

import gzip
from typing import Final

import brotli
import pytest
import zstandard

from tests.api.helpers import DRIVER, NOBODY, PAPER, Api, counts_body, ok, predictions_body, refused

pytestmark = pytest.mark.usefixtures("catalogue")
ASK_AGAIN: Final = "public, no-cache"
FOR_A_DAY: Final = "public, max-age=86400"
EXPOSED: Final = {"ETag", "Link", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-Id"}


def unzstd(body: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(body)


@pytest.fixture
def resources(client: Api) -> dict[str, str]:
    """Addresses, and how long what they answer may be kept without asking."""
    body = predictions_body([("neutral", "neutral")] * 5)
    verdict = ok(client.post(f"/v1/papers/{PAPER}/verdicts", json=body), 201)
    run = ok(client.post(f"/v1/papers/{PAPER}/reproductions", json={}), 202)["id"]
    paper = f"/v1/papers/{PAPER}"
    again = [
        paper,
        f"{paper}v1",
        f"{paper}/verdicts",
        f"{paper}/badge.json",
        f"{paper}/versions",
        f"{paper}/versions/1",
    ]
    again += ["/v1/papers", "/v1/verdicts", "/v1/reproductions", f"/v1/reproductions/{run}", "/v1/drivers"]
    again += [f"{paper}/claims", f"/v1/claims/{verdict['claim_id']}", f"/v1/drivers/{DRIVER}"]
    again += [f"/v1/verdicts/{verdict['id']}", "/openapi.json"]
    for_ever = [f"/v1/verdicts/{verdict['id']}/evidence", f"/v1/verdicts/{verdict['id']}/predictions"]
    return dict.fromkeys(again, ASK_AGAIN) | dict.fromkeys(for_ever, FOR_A_DAY)


def test_what_may_be_kept_and_what_it_depends_on(client: Api, resources: dict[str, str]) -> None:
    for path, kept in resources.items():
        for method in ("GET", "HEAD"):
            answer = client.request(method, path, headers={"Accept-Encoding": "identity"})
            assert answer.status_code == 200, path
            assert answer.headers["cache-control"] == kept, path
            assert "Accept-Encoding" in answer.headers["vary"].split(", "), path
            assert answer.headers["access-control-allow-origin"] == "*", path
            exposed = answer.headers["access-control-expose-headers"].split(", ")
            assert set(exposed) >= EXPOSED
            page = client.request(method, path, headers={"Accept-Encoding": "identity", "Origin": "https://a.example"})
            assert page.headers.raw == answer.headers.raw, path  # one answer for all pages, in any cache
            assert not answer.headers["etag"].startswith("W/"), path
            assert (method == "GET") is bool(answer.content), path


def test_what_nobody_keeps(client: Api) -> None:
    answers = [
        client.get(f"/v1/claims/{NOBODY}"),
        client.get("/nothing"),
        client.get("/v1/papers?limit=0"),
        *(client.get(path) for path in ("/healthz", "/readyz", "/metrics", "/docs", "/v1/events")),
        client.post("/v1/papers:batchGet", json={"ids": [PAPER]}),
        client.post(f"/v1/papers/{PAPER}/verdicts", json=counts_body()),
        client.post(f"/v1/papers/{PAPER}/reproductions", json={}),
    ]
    told = {f"{a.request.method} {a.request.url.path}": a.headers.get("cache-control") for a in answers}
    assert told == dict.fromkeys(told, "no-store")


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("br", "br"),
        ("zstd", "zstd"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, br;q=0.1", "gzip"),
        ("gzip;q=0.5, br;q=0.9, zstd;q=0.2", "br"),
        ("br;q=0.5, identity", None),
        ("br;q=0.5, identity;q=0.5", "br"),
        ("zstd;q=0.1, *;q=0.5", "br"),
        ("zstd;q=nan, br;q=x, gzip;q=inf", "gzip"),
        ("gzip;q=0, br;q=0", None),
        ("deflate", None),
        ("identity", None),
    ],
)
def test_compressed_where_it_pays(client: Api, accepted: str, coding: str | None) -> None:
    large, small = f"/v1/papers/{PAPER}/claims", "/healthz"
    for n in range(12):
        client.post_claim(row=f"Model {n}")
    plain = client.get(large, headers={"Accept-Encoding": "identity"})
    assert int(plain.headers["content-length"]) > 1000
    answer = client.get(large, headers={"Accept-Encoding": accepted})
    assert answer.headers.get("content-encoding") == coding
    body = answer.content  # the client takes apart what it knows, and zstd is not of that
    assert (unzstd(body) if coding == "zstd" else body) == plain.content
    tag = plain.headers["etag"]
    assert answer.headers["etag"] == (tag if coding is None else f'{tag[:-1]}-{coding}"')
    assert "content-encoding" not in client.get(small, headers={"Accept-Encoding": accepted}).headers


@pytest.mark.parametrize("media", ["application/jsonl", "text/csv"])
def test_predictions_are_the_largest_answers_and_compressed(client: Api, media: str) -> None:
    body = predictions_body([("neutral", "neutral")] * 50)
    path = f"/v1/verdicts/{ok(client.post(f'/v1/papers/{PAPER}/verdicts', json=body), 201)['id']}/predictions"
    plain = client.get(path, headers={"Accept-Encoding": "identity", "Accept": media})
    assert plain.headers["content-type"].startswith(media)
    for coding, decode in (("gzip", gzip.decompress), ("br", brotli.decompress), ("zstd", unzstd)):
        raw = []
        for _ in range(2):
            with client.stream("GET", path, headers={"Accept-Encoding": coding, "Accept": media}) as answer:
                raw.append(b"".join(answer.iter_raw()))
        assert raw[0] == raw[1]  # as the strong tag says
        assert decode(raw[0]) == plain.content
        assert len(raw[0]) < len(plain.content) / 4
        assert answer.headers["content-encoding"] == coding
        assert answer.headers["etag"] == f'{plain.headers["etag"][:-1]}-{coding}"'
        assert answer.headers["vary"] == plain.headers["vary"] == "Accept, Accept-Encoding"
        held = {"If-None-Match": answer.headers["etag"], "Accept-Encoding": coding, "Accept": media}
        assert client.get(path, headers=held).status_code == 304


def test_gzip_does_not_name_the_second_it_was_made_in(client: Api) -> None:
    """A strong tag stands for the same bytes, whenever and in whichever process they were compressed."""
    for path in (f"/v1/papers/{PAPER}", f"/v1/papers/{PAPER}/claims?limit=200", "/openapi.json"):
        with client.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as answer:
            raw = b"".join(answer.iter_raw())
        assert "content-encoding" not in answer.headers or raw[4:8] == bytes(4), path


def test_a_head_says_no_length_that_the_get_has_not(client: Api) -> None:
    client.post_verdict()
    for path in ("/v1/exports/verdicts.jsonl", "/v1/exports/verdicts.parquet", "/v1/events", "/healthz"):
        lengths = [client.request(method, path).headers.get("content-length") for method in ("GET", "HEAD")]
        assert lengths[1] in {None, lengths[0]}, path


@pytest.mark.parametrize(("coding", "decode"), [("gzip", gzip.decompress), ("br", brotli.decompress)])
def test_the_compressed_bytes_are_what_they_say(client: Api, coding: str, decode: object) -> None:
    path = f"/v1/papers/{PAPER}"
    plain = client.get(path, headers={"Accept-Encoding": "identity"}).content
    with client.stream("GET", path, headers={"Accept-Encoding": coding}) as answer:
        raw = b"".join(answer.iter_raw())
    assert raw != plain
    assert decode(raw) == plain  # type: ignore[operator]


def test_two_hundred_papers_at_once_and_no_more(client: Api) -> None:
    ids = [PAPER, *(f"2101.{number:05}" for number in range(199))]
    items = ok(client.post("/v1/papers:batchGet", json={"ids": ids}))["items"]
    assert [item["id"] for item in items] == ids
    assert [item["document"] is not None for item in items] == [True] + [False] * 199
    refused(client.post("/v1/papers:batchGet", json={"ids": [*ids, PAPER]}), 422, "validation_failed", "body.ids")


def test_the_document_of_a_paper_that_is_not_there_is_looked_for_once(client: Api) -> None:
    loader = client.app.state.serving.loader  # type: ignore[attr-defined]
    asked: list[str] = []
    document = loader.document

    def noted(arxiv_id: str) -> object:
        asked.append(arxiv_id)
        return document(arxiv_id)

    loader.document = noted
    assert client.get("/v1/papers/2999.99999", headers={"Accept-Encoding": "identity"}).status_code in {404, 422}
    assert client.get("/v1/papers/2912.99999", headers={"Accept-Encoding": "identity"}).status_code == 404
    assert asked.count("2912.99999") == 1
