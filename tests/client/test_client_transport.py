"""What the client does when the service, or what lies between, is not well."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest

from app.client import (
    Client,
    ConflictError,
    InvalidError,
    KeyRefusedError,
    NotFoundError,
    ProblemError,
    Retries,
    TooManyRequestsError,
    UnavailableError,
    UnexpectedAnswerError,
    UnreachableError,
)
from app.client.effects import Request, Response
from app.client.retries import may_repeat, retry_after_of
from tests.client.both import BOTH, client_of
from tests.client.runs import RUN_ID, RUN_PATH, VERDICT_ID, run_json
from tests.client.scripted import DROPPED, Answer, Script

DRIVER_PATH = "/v1/drivers/tiny"
ASK_PATH = "/v1/papers/2101.00001/reproductions"
PREDICTIONS_PATH = f"/v1/verdicts/{VERDICT_ID}/predictions"
DRIVER = {
    "slug": "tiny",
    "agent_version": "v0.1.0-tiny",
    "paper_arxiv_id": "2101.00001",
    "claim_id": "0197f3a0-0000-7000-8000-000000000003",
    "description": "A tiny driver.",
    "protocol_match": "proxy",
    "spec": {},
    "spec_digest": "0",
    "updated_at": "2026-11-25T12:00:00.000Z",
}
OK = Answer(body=DRIVER)


def problem(status: int, code: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401  # JSON
    detail = f"What {code} is."
    return {"type": f"urn:x:{code}", "title": "T", "status": status, "detail": detail, "code": code, **more}


def refusal(status: int, code: str = "some_code", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, problem(status, code), {"Content-Type": "application/problem+json", **named})


def test_the_key_and_the_name_of_the_client_are_sent(asking: Client, script: Script) -> None:
    script.on(DRIVER_PATH, OK)
    assert asking.driver("tiny").slug == "tiny"
    headers = script.asked[0].headers
    assert headers["authorization"] == "Bearer pv_000000000000.secret"
    assert headers["user-agent"].startswith("paper-verdicts/")


# --- again


@pytest.mark.parametrize("trouble", [DROPPED, refusal(503, Retry_After="0"), refusal(429, Retry_After="0")])
def test_a_read_is_tried_again(asking: Client, script: Script, trouble: Answer) -> None:
    script.on(DRIVER_PATH, trouble, trouble, OK)
    assert asking.driver("tiny").slug == "tiny"
    assert len(script.asked) == 3


def test_it_ends_with_what_the_service_says(asking: Client, script: Script) -> None:
    script.on(DRIVER_PATH, refusal(503, "database_unavailable"))
    with pytest.raises(UnavailableError, match="What database_unavailable is"):
        asking.driver("tiny")
    assert len(script.asked) == 5


def test_other_refusals_are_final(asking: Client, script: Script) -> None:
    script.on(DRIVER_PATH, refusal(500), OK)
    with pytest.raises(UnavailableError):
        asking.driver("tiny")
    assert len(script.asked) == 1


@pytest.mark.parametrize("way", BOTH)
def test_retry_after_is_waited_for_unless_it_is_too_long(way: str, script: Script) -> None:
    script.on(DRIVER_PATH, refusal(429, "rate_limited", Retry_After="61"), OK)
    with client_of(way, script.url) as client, pytest.raises(TooManyRequestsError) as caught:
        client.driver("tiny")
    assert caught.value.retry_after_s == 61
    assert len(script.asked) == 1


def test_a_connection_that_nobody_takes_says_where(way: str) -> None:
    address = "http://127.0.0.1:9"
    with client_of(way, address) as client, pytest.raises(UnreachableError, match=f"{address} does not answer"):
        client.driver("tiny")


def test_a_request_for_a_run_carries_one_key_through_all_tries(asking: Client, script: Script) -> None:
    busy = refusal(409, "idempotency_key_in_use", Retry_After="0")
    script.on(ASK_PATH, DROPPED, refusal(503), busy, Answer(202, run_json("queued")))
    assert asking.reproduce("2101.00001", driver="tiny").state == "queued"
    assert [json.loads(one.body) for one in script.asked] == [{"driver": "tiny"}] * 4
    (key,) = {one.headers["idempotency-key"] for one in script.asked}
    asking.reproduce("2101.00001")
    assert script.asked[-1].headers["idempotency-key"] != key
    asking.reproduce("2101.00001", idempotency_key="mine")
    assert script.asked[-1].headers["idempotency-key"] == "mine"


def test_a_change_without_an_idempotency_key_is_sent_once(asking: Client, script: Script) -> None:
    script.on(f"{RUN_PATH}/cancel", DROPPED)
    with pytest.raises(UnreachableError):
        asking.cancel(RUN_ID)
    script.on(f"{RUN_PATH}/cancel", refusal(503))
    with pytest.raises(UnavailableError):
        asking.cancel(RUN_ID)
    assert len(script.asked) == 2
    # What was refused by a limit was not done.
    script.on(f"{RUN_PATH}/cancel", refusal(429, Retry_After="0"), Answer(body=run_json("cancelled")))
    assert asking.cancel(RUN_ID).state == "cancelled"


def test_waits_grow_are_random_and_hold_to_retry_after() -> None:
    retries = Retries(most=3, first_s=1.0, longest_s=10.0)
    for attempt, longest in ((0, 1.0), (1, 2.0), (2, 4.0)):
        waits = [wait for _ in range(200) if (wait := retries.wait_s(attempt, None)) is not None]
        assert len(waits) == 200
        assert 0 <= min(waits) < longest / 4
        assert longest * 3 / 4 < max(waits) <= longest
    assert retries.wait_s(3, None) is None
    assert 7 <= (retries.wait_s(0, 7.0) or 0) <= 8
    assert retries.wait_s(0, 10.1) is None


def test_retry_after_is_seconds_or_a_date() -> None:
    now = datetime(2026, 11, 25, 12, tzinfo=UTC)
    later = format_datetime(now.replace(minute=1), usegmt=True)
    for text, expected in (("7", 7.0), (later, 60.0), ("soon", None), ("-1", None)):
        assert retry_after_of(Response(429, {"retry-after": text}), now) == expected
    assert retry_after_of(Response(429, {}), now) is None


def test_what_may_be_repeated() -> None:
    assert may_repeat(Request("GET", "/"))
    assert may_repeat(Request("POST", "/", headers={"Idempotency-Key": "x"}))
    assert not may_repeat(Request("POST", "/"))


# --- errors


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ProblemError),
        (401, KeyRefusedError),
        (403, KeyRefusedError),
        (404, NotFoundError),
        (409, ConflictError),
        (422, InvalidError),
        (502, UnavailableError),
    ],
)
def test_a_problem_document_is_an_error_with_its_facts(
    asking: Client, script: Script, status: int, kind: type[ProblemError]
) -> None:
    errors = [{"field": "body.x", "detail": "no", "code": "a"}, {"field": "body.x", "detail": "nor", "code": "b"}]
    script.on(DRIVER_PATH, Answer(status, problem(status, "some", errors=errors), {"X-Request-Id": "id-1"}))
    with pytest.raises(kind) as caught:
        asking.driver("tiny")
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.code, error.detail, error.request_id) == (status, "some", "What some is.", "id-1")
    assert [one.code for one in error.by_field["body.x"]] == ["a", "b"]


def test_an_error_that_is_no_problem_document_is_one_all_the_same(asking: Client, script: Script) -> None:
    script.on(DRIVER_PATH, Answer(502, b"<html>Bad Gateway</html>", {"Content-Type": "text/html"}))
    with pytest.raises(UnavailableError) as caught:
        asking.driver("tiny")
    assert caught.value.code == "http_502"
    assert "<html>" not in str(caught.value)


@pytest.mark.parametrize("body", [b"<html>a page</html>", b"[]", b"{}", b""])
def test_an_answer_that_is_none_of_ours(asking: Client, script: Script, body: bytes) -> None:
    script.on(DRIVER_PATH, Answer(200, body))
    with pytest.raises(UnexpectedAnswerError):
        asking.driver("tiny")


def test_what_a_newer_service_adds_is_kept(asking: Client, script: Script) -> None:
    script.on(DRIVER_PATH, Answer(body={**DRIVER, "colour": "blue"}))
    driver = asking.driver("tiny")
    assert driver.model_extra == {"colour": "blue"}
    with pytest.raises(ValueError, match="frozen"):
        driver.slug = "other"  # type: ignore[misc]


def test_an_answer_that_breaks_off_is_asked_for_again(asking: Client, script: Script) -> None:
    script.on(DRIVER_PATH, Answer(body=DRIVER, cut=10), OK)
    assert asking.driver("tiny").slug == "tiny"


# --- conditional requests


def test_what_is_held_is_not_sent_again(asking: Client, script: Script) -> None:
    tagged = Answer(body=DRIVER, headers={"ETag": '"1"'})
    script.on(DRIVER_PATH, tagged, Answer(304, headers={"ETag": '"1"'}), Answer(body={**DRIVER, "description": "New"}))
    first, second, third = (asking.driver("tiny") for _ in range(3))
    assert first == second
    assert third.description == "New"
    assert [one.headers.get("if-none-match") for one in script.asked] == [None, '"1"', '"1"']


def test_what_must_not_be_kept_is_not(asking: Client, script: Script) -> None:
    script.on(DRIVER_PATH, Answer(body=DRIVER, headers={"ETag": '"1"', "Cache-Control": "no-store"}))
    asking.driver("tiny")
    asking.driver("tiny")
    assert "if-none-match" not in script.asked[1].headers


@pytest.mark.parametrize("way", BOTH)
def test_the_cache_is_bounded(way: str, script: Script) -> None:
    size = len(json.dumps(DRIVER))
    with client_of(way, script.url, cache_bytes=9 * size) as client:
        for number in range(20):
            script.on(f"/v1/drivers/{number}", Answer(body=DRIVER, headers={"ETag": f'"{number}"'}))
            client.driver(str(number))
        assert len(client.context.cache) == 9
        client.driver("19")
        client.driver("0")
        assert script.asked[-2].headers["if-none-match"] == '"19"'
        assert "if-none-match" not in script.asked[-1].headers
    with client_of(way, script.url, cache_bytes=0) as client:
        client.driver("1")
        assert len(client.context.cache) == 0


# --- lists and streams


def test_a_list_is_walked_to_its_end_or_to_its_limit(asking: Client, script: Script) -> None:
    def page(number: int) -> Answer:
        following = "abc"[number] if number < 2 else None
        return Answer(body={"items": [{**DRIVER, "slug": f"d{number}{i}"} for i in range(2)], "next_cursor": following})

    script.on("/v1/drivers", page(0), page(1), page(2))
    assert [one.slug for one in asking.drivers()] == ["d00", "d01", "d10", "d11", "d20", "d21"]
    assert [one.query for one in script.asked] == ["limit=100", "limit=100&cursor=a", "limit=100&cursor=b"]
    script.on("/v1/drivers", page(0), page(1), page(2))
    assert [one.slug for one in asking.drivers(limit=2)] == ["d00", "d01"]
    assert [one.query for one in script.asked[3:]] == ["limit=2"]
    script.on("/v1/papers", Answer(body={"items": [], "next_cursor": None}))
    assert list(asking.papers("a b", withdrawn=False)) == []
    assert script.asked[-1].query == "q=a+b&withdrawn=false&limit=100"


def lines(number: int) -> Iterator[bytes]:
    for row in range(number):
        one = {"row": row, "id": f"é{row}", "gold": "a", "predicted": "b", "correct": False, "logits": None}
        yield json.dumps(one, ensure_ascii=False).encode() + b"\n"


def test_predictions_arrive_one_after_another_however_they_are_cut(asking: Client, script: Script) -> None:
    whole = b"".join(lines(50))
    pieces = [whole[i : i + 7] for i in range(0, len(whole), 7)]
    script.on(PREDICTIONS_PATH, Answer(pieces=pieces, headers={"Content-Type": "application/jsonl"}))
    assert [one.id for one in asking.predictions(VERDICT_ID)] == [f"é{row}" for row in range(50)]
    assert script.asked[0].headers["accept"] == "application/jsonl"
    assert b"".join(asking.prediction_bytes(VERDICT_ID, "csv")) == whole
    assert script.asked[1].headers["accept"] == "text/csv"
    with pytest.raises(ValueError, match="jsonl, csv, parquet"):
        list(asking.prediction_bytes(VERDICT_ID, "xlsx"))


def test_a_download_that_is_refused_or_breaks_off_is_an_error(asking: Client, script: Script) -> None:
    script.on(PREDICTIONS_PATH, refusal(503), refusal(404, "evidence_not_found"))
    with pytest.raises(NotFoundError):
        list(asking.predictions(VERDICT_ID))
    script.on(PREDICTIONS_PATH, Answer(body=b"".join(lines(50)), cut=1000))
    with pytest.raises(UnreachableError, match="broke off"):
        list(asking.predictions(VERDICT_ID))
    script.on(PREDICTIONS_PATH, Answer(body=b"{}\n"))
    with pytest.raises(UnexpectedAnswerError):
        list(asking.predictions(VERDICT_ID))


def test_a_stream_that_is_left_is_closed_and_the_client_goes_on(asking: Client, script: Script) -> None:
    script.on(DRIVER_PATH, OK)
    for _ in range(3):
        script.on(PREDICTIONS_PATH, Answer(pieces=lines(100_000)))
        assert next(asking.predictions(VERDICT_ID)).row == 0
    assert asking.driver("tiny").slug == "tiny"


@pytest.mark.parametrize("address", ["", "127.0.0.1:8000", "ftp://x", "http://", "/v1", "http://[::1", "http://a:b"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(ValueError, match="no address of a service"):
        Client(address)


def test_a_key_that_is_none_is_refused_and_not_repeated() -> None:
    for key in ("ключ", "a b", "a\nb"):
        with pytest.raises(ValueError, match="no key has") as caught:
            Client("http://127.0.0.1:9", key)
        assert key not in str(caught.value)
    Client("http://127.0.0.1:9", "pv_000000000000.secret\n").close()  # as it is read from a file


@pytest.mark.parametrize("tail", ["", "/", "/v1", "/v1/"])
def test_an_address_with_or_without_its_tail(way: str, script: Script, tail: str) -> None:
    script.on(DRIVER_PATH, OK)
    with client_of(way, script.url + tail) as client:
        assert client.driver("tiny").slug == "tiny"


def test_a_service_behind_a_prefix(way: str, script: Script) -> None:
    script.on(f"/verdicts{DRIVER_PATH}", OK)
    with client_of(way, f"{script.url}/verdicts/") as client:
        assert client.driver("tiny").slug == "tiny"


def test_a_paper_that_has_moved_is_followed_with_the_question(asking: Client, script: Script) -> None:
    script.on("/v1/papers/draft:x/reproductions", Answer(308, headers={"Location": ASK_PATH}))
    script.on(ASK_PATH, Answer(202, run_json("queued")))
    assert asking.reproduce("draft:x", slice_size=7).state == "queued"
    assert json.loads(script.asked[-1].body) == {"slice_size": 7}
    assert script.asked[-1].headers["authorization"]
