"""Pages of every list: whole, in order, and undisturbed by what is added meanwhile."""

import base64
import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.pagination import encode_cursor
from tests.api.helpers import DRIVER, PAPER, Api, next_url, ok, pages, refused, walk

LISTS = (
    "/v1/papers",
    "/v1/papers?sort=arxiv_id",
    f"/v1/papers/{PAPER}/versions",
    f"/v1/papers/{PAPER}/claims",
    f"/v1/papers/{PAPER}/verdicts",
    "/v1/verdicts",
    "/v1/reproductions",
    "/v1/drivers",
)


def joined(path: str, query: str) -> str:
    return f"{path}{'&' if '?' in path else '?'}{query}"


def cursor_of(key: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


Add = Callable[[Api, int], None]


def add_paper(client: Api, i: int) -> None:
    client.put_paper(f"2101.{10_000 + i}")


def add_paper_with_verdict(client: Api, i: int) -> None:
    add_paper(client, i)
    client.post_claim(f"2101.{10_000 + i}")
    client.post_verdict(f"2101.{10_000 + i}")


def add_version(client: Api, _: int) -> None:
    ok(client.post(f"/v1/papers/{PAPER}/versions", json={}), 201)


def add_claim(client: Api, i: int) -> None:
    client.post_claim(row=f"Model {i}")


def add_verdict(client: Api, i: int) -> None:
    client.post_verdict(kind="PRE" if i % 2 else "POST")


def add_run(client: Api, _: int) -> None:
    ok(client.post(f"/v1/papers/{PAPER}/reproductions", json={"driver": DRIVER, "force": True}), 202)


@pytest.mark.usefixtures("catalogue")
@pytest.mark.parametrize(
    ("path", "key", "add"),
    [
        ("/v1/papers", "arxiv_id", add_paper_with_verdict),
        ("/v1/papers?sort=arxiv_id", "arxiv_id", add_paper),
        (f"/v1/papers/{PAPER}/versions", "version", add_version),
        (f"/v1/papers/{PAPER}/claims", "id", add_claim),
        (f"/v1/papers/{PAPER}/verdicts", "id", add_verdict),
        ("/v1/verdicts?kind=PRE", "id", add_verdict),
        ("/v1/reproductions", "id", add_run),
    ],
)
def test_what_is_added_meanwhile_neither_repeats_nor_hides_anything(client: Api, path: str, key: str, add: Add) -> None:
    for i in range(7):
        add(client, 2 * i)
        add(client, 2 * i + 1)
    before = [item[key] for item in ok(client.get(joined(path, "limit=200")))["items"]]
    assert len(before) >= 7
    added = iter(range(100, 200))
    walked = walk(client, joined(path, "limit=3"), key, between=lambda: add(client, next(added)))
    assert len(walked) == len(set(walked))
    assert [one for one in walked if one in set(before)] == before
    after = [item[key] for item in ok(client.get(joined(path, "limit=200")))["items"]]
    assert [one for one in after if one in set(walked)] == walked


def test_the_link_works_as_it_stands_and_pages_are_full(client: Api) -> None:
    for i in range(5):
        client.put_paper(f"2101.0000{i}", title="Größe & more", venue="ICLR=2023")
    first = "/v1/papers?q=Gr%C3%B6%C3%9Fe+%26+more&venue=ICLR%3D2023&withdrawn=false&limit=2&sort=arxiv_id"
    assert [len(page) for page in pages(client, first)] == [2, 2, 1]
    assert walk(client, first, "arxiv_id") == [f"2101.0000{i}" for i in range(5)]
    assert [len(page) for page in pages(client, "/v1/papers?limit=5")] == [5]
    assert next_url(client.get("/v1/papers?limit=5")) is None
    assert next_url(client.get("/v1/papers?limit=4")).startswith("/v1/papers?limit=4&cursor=")  # type: ignore[union-attr]


def test_lists_of_old_style_ids_have_links_that_work(client: Api) -> None:
    client.put_paper("hep-th/9901001")
    for i in range(3):
        client.post_claim("hep-th/9901001", row=str(i))
    for path in ("/v1/papers/hep-th/9901001/claims", "/v1/papers/hep-th%2F9901001v1/claims"):
        assert len(walk(client, f"{path}?limit=1")) == 3


def test_an_empty_list_is_one_empty_page(client: Api) -> None:
    client.put_paper()
    for path in LISTS[2:]:
        body = ok(client.get(path))
        assert body["next_cursor"] is None
        assert len(body["items"]) == (1 if path.endswith("versions") else 0)


def test_limits(api: Api) -> None:
    for path in LISTS:
        for limit in ("1", "200"):
            ok(api.get(joined(path, f"limit={limit}")))
        for limit in ("0", "201", "-1", "1.5", "", "x", str(2**63), "%00", "\u0661"):
            refused(api.get(joined(path, f"limit={limit}")), 422, "validation_failed", "query.limit")


def test_cursors_of_other_lists_are_refused(api: Api) -> None:
    ids = ["0190a6f0-0000-7000-8000-000000000000"]
    cursors = {
        "papers": encode_cursor("papers", [0, PAPER]),
        "papers-by-id": encode_cursor("papers-by-id", [PAPER]),
        "versions": encode_cursor("versions", [5]),
        "claims": encode_cursor("claims", ids),
        "verdicts": encode_cursor("verdicts", [0, *ids]),
        "reproductions": encode_cursor("reproductions", ids),
        "drivers": encode_cursor("drivers", ["a"]),
    }
    names = ["papers", "papers-by-id", "versions", "claims", "verdicts", "verdicts", "reproductions", "drivers"]
    for path, own in zip(LISTS, names, strict=True):
        for name, cursor in cursors.items():
            answer = api.get(joined(path, f"cursor={cursor}"))
            if name == own:
                ok(answer)
            else:
                refused(answer, 400, "cursor_invalid")


def test_cursors_that_no_list_gave_out_are_refused(api: Api) -> None:
    names = ["papers", "papers-by-id", "versions", "claims", "verdicts", "reproductions", "drivers"]
    keys: list[list[object]] = [
        [], [None], [1.5], [True], ["x"], ["\0"], ["\ud800"], [10**30], [-(10**30)], [2**62], [2**40], [{}], [[]],
        [10**30, "x"], [2**62, "0190a6f0-0000-7000-8000-000000000000"], [0, "\0"], [0, 5], ["a", "b"],
    ]  # fmt: skip
    for path in LISTS:
        for name in names:
            for key in keys:
                answer = api.get(joined(path, f"cursor={cursor_of([name, *key])}"))
                if answer.status_code == 200:
                    assert len(key) > 0
                    assert ok(answer)["next_cursor"] is None
                else:
                    refused(answer, 400, "cursor_invalid")
        refused(api.get(joined(path, "cursor=" + "a" * 501)), 422, "validation_failed", "query.cursor")


@given(st.sampled_from(LISTS), st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
@settings(max_examples=200)
def test_random_bytes_are_no_cursor(api: Api, path: str, content: bytes) -> None:
    encoded = base64.urlsafe_b64encode(content).decode().rstrip("=")
    for cursor in (encoded, "".join(f"%{byte:02X}" for byte in content)):
        if len(cursor) <= 500:
            answer = api.get(joined(path, f"cursor={cursor}"))
            if len(content) <= 500:
                refused(answer, 400, "cursor_invalid")
