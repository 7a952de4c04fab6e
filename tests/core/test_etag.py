from collections.abc import Callable

import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import PreconditionError
from app.core.etag import (
    etag_of,
    held_by,
    held_tag,
    reply,
    require_absence_allowed,
    require_match,
    require_presence_allowed,
)

TAG = '"0123456789abcdef0123456789abcdef"'
OTHER = '"00000000000000000000000000000000"'


def request(*headers: tuple[str, str], method: str = "GET") -> Request:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return Request({"type": "http", "method": method, "path": "/", "query_string": b"", "headers": raw})


@given(st.binary(), st.binary())
def test_a_tag_is_strong_and_stands_for_the_bytes(one: bytes, other: bytes) -> None:
    assert etag_of(one).startswith('"')
    assert (etag_of(one) == etag_of(other)) == (one == other)


@pytest.mark.parametrize(
    "header", [TAG, f"W/{TAG}", "*", f"{OTHER}, {TAG}", f'"a",W/{TAG}', f"  {TAG}  ", f"{OTHER},*"]
)
def test_a_list_with_the_tag_in_it_matches(header: str) -> None:
    assert held_tag(header, TAG) is not None


@pytest.mark.parametrize("header", ["", OTHER, TAG.strip('"'), f"W/{OTHER}", f"w/{TAG}", "**", f"{TAG[:-1]}"])
def test_anything_else_does_not(header: str) -> None:
    assert held_tag(header, TAG) is None


@given(st.text())
def test_no_text_without_the_tag_or_a_star_matches(header: str) -> None:
    if TAG not in header and "*" not in header:
        assert held_tag(header, TAG) is None


def test_a_reader_that_holds_the_state_gets_no_body() -> None:
    answer = reply(request(("if-none-match", etag_of(b"{}"))), b"{}")
    assert (answer.status_code, answer.body) == (304, b"")
    assert answer.headers["etag"] == etag_of(b"{}")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "POST"])
def test_the_answer_to_a_change_is_never_304(method: str) -> None:
    answer = reply(request(("if-none-match", "*"), method=method), b"{}", status=201)
    assert (answer.status_code, answer.body) == (201, b"{}")


def test_header_lines_are_one_list() -> None:
    assert held_by(request(("if-none-match", OTHER), ("if-none-match", TAG)), TAG) is not None
    require_match(request(("if-match", OTHER), ("if-match", TAG), method="PATCH"), TAG)


@pytest.mark.parametrize("header", [OTHER, f"W/{TAG}", "", f"{OTHER}, {OTHER}"])
def test_a_change_to_another_state_is_refused_with_the_present_tag(header: str) -> None:
    with pytest.raises(PreconditionError) as refusal:
        require_match(request(("if-match", header), method="PATCH"), TAG)
    assert refusal.value.headers == {"ETag": TAG}


@pytest.mark.parametrize("header", [TAG, "*", f"{OTHER}, {TAG}"])
def test_a_change_to_the_present_state_goes_on(header: str) -> None:
    require_match(request(("if-match", header), method="PATCH"), TAG)


@pytest.mark.parametrize("check", [lambda one: require_match(one, TAG), require_presence_allowed])
def test_making_only_what_is_not_there(check: Callable[[Request], None]) -> None:
    with pytest.raises(PreconditionError):
        check(request(("if-none-match", "*"), method="PUT"))


def test_a_state_of_what_is_not_there_cannot_be_asked_for() -> None:
    with pytest.raises(PreconditionError):
        require_absence_allowed(request(("if-match", "*"), method="PUT"))
    require_absence_allowed(request(("if-none-match", "*"), method="PUT"))
