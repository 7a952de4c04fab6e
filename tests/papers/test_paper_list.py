from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.api.helpers import PAPER, Api, counts_body, ok, refused, walk

PAPERS: dict[str, dict[str, Any]] = {
    "2101.00001": {"title": "Attention is cheap", "primary_category": "cs.CL", "venue": "ICLR 2023"},
    "2101.00002": {"title": "Größe zählt", "primary_category": "cs.CL", "withdrawn": True},
    "hep-th/9901001": {"title": "Strings attached", "primary_category": "hep-th", "venue": "JHEP"},
    "draft:attentive": {"title": "A draft", "abstract": "Pays attention to detail."},
}
REPRODUCED, REFUTED, OPEN = counts_body(), counts_body((2000, 1000, 9815)), counts_body((200, 184, 9815))


@pytest.fixture
def library(client: Api) -> Api:
    for arxiv_id, fields in PAPERS.items():
        client.put_paper(arxiv_id, **fields)
    return client


def found(client: Api, **query: object) -> list[str]:
    params = {name: str(value) for name, value in query.items()}
    return [item["arxiv_id"] for item in ok(client.get("/v1/papers", params=params))["items"]]


def test_a_paper_in_a_list(library: Api) -> None:
    library.post_claim("2101.00001")
    verdict = ok(library.post("/v1/papers/2101.00001/verdicts", json=REPRODUCED), 201)
    assert ok(library.get("/v1/papers?limit=1"))["items"] == [
        {
            "arxiv_id": "2101.00001",
            "title": "Attention is cheap",
            "primary_category": "cs.CL",
            "venue": "ICLR 2023",
            "published_at": None,
            "withdrawn": False,
            "status": "reproduced",
            "newest_verdict_at": verdict["computed_at"],
        }
    ]
    assert ok(library.get("/v1/papers", params={"q": "strings"}))["items"][0]["newest_verdict_at"] is None


FILTERS: list[tuple[dict[str, str], set[str]]] = [
    ({"category": "cs.CL"}, {"2101.00001", "2101.00002"}),
    ({"category": "cs"}, set()),
    ({"venue": "JHEP"}, {"hep-th/9901001"}),
    ({"withdrawn": "true"}, {"2101.00002"}),
    ({"withdrawn": "false", "category": "cs.CL"}, {"2101.00001"}),
    ({"status": "none"}, set(PAPERS)),
    ({"status": "reproduced"}, set()),
    ({"q": "attention"}, {"2101.00001", "draft:attentive"}),
    ({"q": "attention -cheap"}, {"draft:attentive"}),
    ({"q": '"pays attention"'}, {"draft:attentive"}),
    ({"q": "GRÖSSE"}, set()),
    ({"q": "größe"}, {"2101.00002"}),
    ({"q": "hep-th/9901001"}, {"hep-th/9901001"}),
    ({"q": "2101.00002"}, {"2101.00002"}),
    ({"q": ""}, set()),
    ({"q": "%"}, set()),
    ({"q": "attention", "category": "cs.CL", "venue": "ICLR 2023"}, {"2101.00001"}),
]


def test_filters_and_search(library: Api) -> None:
    for query, ids in FILTERS:
        assert set(found(library, **query)) == ids, query


def test_an_id_is_found_even_where_it_would_be_taken_for_an_operator(client: Api) -> None:
    client.put_paper("-a/9901001")
    assert found(client, q="-a/9901001") == ["-a/9901001"]


def test_the_status_is_that_of_the_papers_verdict(library: Api) -> None:
    bodies = {"2101.00001": REPRODUCED, "2101.00002": REFUTED, "hep-th/9901001": OPEN}
    for arxiv_id, body in bodies.items():
        library.post_claim(arxiv_id)
        ok(library.post(f"/v1/papers/{arxiv_id}/verdicts", json=body), 201)
    expected = zip(("reproduced", "not_reproduced", "inconclusive"), bodies, strict=True)
    for status, arxiv_id in [*expected, ("none", "draft:attentive")]:
        assert found(library, status=status) == [arxiv_id]


def test_sorting_by_newest_verdict_and_by_id(library: Api) -> None:
    for arxiv_id in ("2101.00002", "hep-th/9901001", "2101.00001"):
        library.post_claim(arxiv_id)
        ok(library.post(f"/v1/papers/{arxiv_id}/verdicts", json=OPEN), 201)
    newest = ["2101.00001", "hep-th/9901001", "2101.00002", "draft:attentive"]
    assert found(library) == found(library, sort="-newest_verdict") == newest
    ok(library.post("/v1/papers/2101.00002/verdicts", json=OPEN), 201)
    assert found(library)[0] == "2101.00002"
    for sort in ("arxiv_id", "-newest_verdict"):
        assert walk(library, f"/v1/papers?limit=1&sort={sort}", "arxiv_id") == found(library, sort=sort)
    assert set(found(library, sort="arxiv_id")) == set(PAPERS)


def test_pages_keep_the_filters(library: Api) -> None:
    library.put_paper("2101.00003", title="Attention again")
    ids = walk(library, "/v1/papers?limit=1&q=attention&withdrawn=false", "arxiv_id")
    assert sorted(ids) == ["2101.00001", "2101.00003", "draft:attentive"]


BAD = [
    ("status=retracted", "query.status"),
    ("sort=title", "query.sort"),
    ("sort=-arxiv_id", "query.sort"),
    ("withdrawn=maybe", "query.withdrawn"),
    ("limit=0", "query.limit"),
    ("limit=201", "query.limit"),
    ("limit=-1", "query.limit"),
    ("limit=ten", "query.limit"),
    ("limit=1e3", "query.limit"),
    (f"limit={10**40}", "query.limit"),
    ("q=a%00b", "query.q"),
    ("category=%00", "query.category"),
    ("venue=%00", "query.venue"),
    ("q=" + "a" * 201, "query.q"),
]


def test_bad_parameters_are_named(client: Api) -> None:
    for query, field in BAD:
        refused(client.get(f"/v1/papers?{query}"), 422, "validation_failed", field)


@given(st.text(max_size=200))
@settings(max_examples=100)
def test_any_words_can_be_searched_for(client: Api, words: str) -> None:
    response = client.get("/v1/papers", params={"q": words.encode("utf-8", "replace").decode()})
    if "\0" in words:
        refused(response, 422, "validation_failed", "query.q")
    else:
        assert ok(response)["items"] == []


def test_bytes_that_are_no_text_are_searched_for_as_such(client: Api) -> None:
    assert ok(client.get("/v1/papers?q=%FF%ED%A0%80"))["items"] == []


def test_a_paper_leaves_the_filter_when_it_changes(library: Api) -> None:
    assert found(library, withdrawn="true") == ["2101.00002"]
    ok(library.patch("/v1/papers/2101.00002", json={"withdrawn": False}))
    ok(library.patch("/v1/papers/2101.00001", json={"title": "Renamed"}))
    assert found(library, withdrawn="true") == []
    assert found(library, q="cheap") == []
    assert found(library, q="renamed") == ["2101.00001"]
    refused(library.get(f"/v1/papers/{PAPER}"), 404, "paper_not_found")
