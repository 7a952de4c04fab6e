import base64
import json
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st

from app.core.pagination import CursorError, decode_cursor, encode_cursor, next_link

PRINTABLE = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"])).filter(str.isprintable)


def parse(key: list[str]) -> tuple[datetime, UUID]:
    return datetime.fromtimestamp(int(key[0]) / 1000, UTC), UUID(key[1])


def cursor_of(content: object) -> str:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@given(st.lists(PRINTABLE | st.integers(-(2**63) + 1, 2**63 - 1)))
def test_a_cursor_gives_its_key_back(key: list[str | int]) -> None:
    assert decode_cursor("things", encode_cursor("things", key), lambda found: found) == [str(part) for part in key]


def test_no_cursor_is_no_key() -> None:
    assert decode_cursor("things", None, parse) is None


def test_a_cursor_of_another_list_is_refused() -> None:
    with pytest.raises(CursorError):
        decode_cursor("things", encode_cursor("others", [0, str(uuid4())]), parse)


@given(st.text())
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(CursorError):
        decode_cursor("things", text, parse)


@given(st.binary())
def test_any_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(CursorError):
        decode_cursor("things", cursor_of(content), parse)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.lists(JSON))
def test_any_key_that_does_not_parse_is_refused(key: list[object]) -> None:
    with pytest.raises(CursorError):
        decode_cursor("things", cursor_of(["things", *key, "more"]), parse)


@pytest.mark.parametrize(
    "key",
    [
        [10**30, str(uuid4())],
        [-(10**30), str(uuid4())],
        [2**62, str(uuid4())],
        [True, str(uuid4())],
        [1.5, str(uuid4())],
        [0],
        [],
        [0, "not-a-uuid"],
    ],
)
def test_keys_that_no_item_has_are_refused(key: list[object]) -> None:
    with pytest.raises(CursorError):
        decode_cursor("things", cursor_of(["things", *key]), parse)


@pytest.mark.parametrize("text", ["\0", "a\0b", "\ud800", "line\nbreak"])
def test_text_that_no_database_compares_with_is_refused(text: str) -> None:
    with pytest.raises(CursorError):
        decode_cursor("things", cursor_of(["things", text]), lambda key: key[0])


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"a":1}', b'"things"', b"things", b"", b"null", b"1"])
def test_json_of_another_shape_is_refused(content: bytes) -> None:
    with pytest.raises(CursorError):
        decode_cursor("things", cursor_of(content), parse)


def link_of(path: str, query: str, cursor: str | None = "abc_-") -> dict[str, str]:
    scope = {"type": "http", "method": "GET", "path": path, "query_string": query.encode(), "headers": []}
    return next_link(Request(scope), cursor)


def test_the_last_page_has_no_link() -> None:
    assert link_of("/v1/papers", "limit=2", cursor=None) == {}


def test_the_link_keeps_the_other_parameters_and_replaces_the_cursor() -> None:
    link = link_of("/v1/papers/hep-th/9901001/claims", "cursor=old&limit=2&q=%C3%BC+%26&q=&cursor=older")["Link"]
    assert link.endswith('>; rel="next"')
    url = urlsplit(link[1 : link.index(">")])
    assert url.path == "/v1/papers/hep-th/9901001/claims"
    assert parse_qs(url.query, keep_blank_values=True) == {"limit": ["2"], "q": ["ü &", ""], "cursor": ["abc_-"]}


@given(st.text(), st.text())
def test_a_link_is_always_one_header_line(path: str, query: str) -> None:
    scope = {"type": "http", "path": f"/{path}", "query_string": query.encode(errors="replace"), "headers": []}
    link = next_link(Request(scope), "abc")["Link"]
    assert link.isascii()
    assert link.isprintable()
    assert link.count("<") == link.count(">") == 1
