"""Following a run: by server-sent events, again where they break off, and by polling where there are none."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from app.client import Client, LostSightError, NotFoundError, NoVerdictError, Outage, Retries, UnreachableError
from app.client.following import MOST_SILENT
from app.client.models import Reproduction
from tests.client.both import client_of
from tests.client.runs import RUN_ID, RUN_PATH, VERDICT_ID, run_json
from tests.client.scripted import DROPPED, PATIENCE_S, Answer, Script

EVENTS_PATH = f"{RUN_PATH}/events"
ASK_PATH = "/v1/papers/2101.00001/reproductions"
NO_EVENTS = Answer(404, {"type": "x", "title": "x", "status": 404, "detail": "x", "code": "not_found"})
Seen = list[tuple[str, int]]


def event(name: str, number: int, run: dict[str, Any]) -> bytes:
    return f": a comment\nevent: reproduction.{name}\nid: {number}\ndata: {json.dumps(run)}\n\n".encode()


def stream(*pieces: bytes) -> Answer:
    return Answer(pieces=pieces, headers={"Content-Type": "text/event-stream; charset=utf-8"})


def follow(client: Client, **options: Any) -> tuple[Reproduction, Seen]:  # noqa: ANN401  # the verb's
    seen: Seen = []
    run = client.reproduce(
        "2101.00001",
        wait=True,
        on_progress=lambda run: seen.append((run.state, run.progress.done)),
        **options,
    )
    return run, seen


@pytest.fixture(autouse=True)
def asked_for(script: Script) -> None:
    script.on(ASK_PATH, Answer(202, run_json("queued")))


def test_by_events(asking: Client, script: Script) -> None:
    script.on(RUN_PATH, Answer(body=run_json("queued")))
    script.on(
        EVENTS_PATH,
        stream(
            b": hello\n\n",
            event("queued", 1, run_json("queued")),
            event("running", 2, run_json("running")),
            event("progress", 3, run_json("running", 6))[:50],
            event("progress", 3, run_json("running", 6))[50:],
            b"event: verdict.issued\nid: 4\ndata: {}\n\n",
            event("finished", 5, run_json("succeeded", 12)),
        ),
    )
    run, seen = follow(asking)
    assert seen == [("queued", 0), ("running", 0), ("running", 6), ("succeeded", 12)]
    assert run.verdict_id is not None
    assert script.to(EVENTS_PATH)[0].headers["accept"] == "text/event-stream"
    assert len(script.to(RUN_PATH)) == 2  # before the stream, and once it stood


def test_a_stream_that_breaks_off_is_taken_up_where_it_was(asking: Client, script: Script) -> None:
    script.on(RUN_PATH, Answer(body=run_json("running")))
    script.on(
        EVENTS_PATH,
        stream(event("progress", 7, run_json("running", 3))),
        stream(event("progress", 8, run_json("running", 6)), b"event: reproduction.progress\ndata: {"),
        Answer(dropped=True),
        stream(event("finished", 9, run_json("succeeded", 12))),
    )
    _, seen = follow(asking)
    assert seen == [("running", 0), ("running", 3), ("running", 6), ("succeeded", 12)]
    assert [one.headers.get("last-event-id") for one in script.to(EVENTS_PATH)] == [None, "7", "8", "8"]


def test_old_news_is_no_news(asking: Client, script: Script) -> None:
    script.on(RUN_PATH, Answer(body=run_json("running", 6)))
    replayed = [event("progress", n, run_json("running", n)) for n in (2, 4, 6)]
    again = event("running", 8, run_json("running", 0, attempt=2))
    script.on(EVENTS_PATH, stream(*replayed, again, event("finished", 9, run_json("succeeded", 12, attempt=2))))
    assert follow(asking)[1] == [("running", 6), ("running", 0), ("succeeded", 12)]


def test_a_run_that_ended_while_the_stream_was_opened(asking: Client, script: Script) -> None:
    let_go = threading.Event()

    def silent() -> Iterator[bytes]:
        yield b": hello\n\n"
        let_go.wait(PATIENCE_S)

    script.on(RUN_PATH, Answer(body=run_json("running")), Answer(body=run_json("succeeded", 12)))
    script.on(EVENTS_PATH, Answer(pieces=silent(), headers={"Content-Type": "text/event-stream"}))
    try:
        assert follow(asking)[1] == [("running", 0), ("succeeded", 12)]
    finally:
        let_go.set()


@pytest.mark.parametrize(
    "instead",
    [NO_EVENTS, Answer(503), Answer(200, b"<html>", {"Content-Type": "text/html"}), Answer(204)],
    ids=["not there", "full", "a page", "nothing"],
)
def test_where_there_are_no_events_it_polls(asking: Client, script: Script, instead: Answer) -> None:
    soon = {"Retry-After": "0"}
    script.on(
        RUN_PATH,
        Answer(body=run_json("queued")),
        Answer(body=run_json("running", 3), headers=soon),
        Answer(body=run_json("running", 3), headers=soon),
        Answer(body=run_json("succeeded", 12)),
    )
    script.on(EVENTS_PATH, instead)
    assert follow(asking)[1] == [("queued", 0), ("running", 3), ("succeeded", 12)]
    assert len(script.to(EVENTS_PATH)) == 1
    assert not any("prefer" in one.headers for one in script.asked)


def test_a_stream_that_never_says_anything_is_given_up(asking: Client, script: Script) -> None:
    looks = [Answer(body=run_json("running"))] * (1 + MOST_SILENT)
    script.on(RUN_PATH, *looks, Answer(body=run_json("succeeded", 12)))
    script.on(EVENTS_PATH, stream(b": hello\n\n"))
    assert follow(asking)[1] == [("running", 0), ("succeeded", 12)]
    assert len(script.to(EVENTS_PATH)) == MOST_SILENT


def test_where_nobody_watches_the_service_is_asked_to_answer_at_the_end(asking: Client, script: Script) -> None:
    applied = {"Preference-Applied": "wait=25"}
    script.on(
        RUN_PATH,
        Answer(body=run_json("running")),
        Answer(body=run_json("running", 3), headers=applied),
        Answer(body=run_json("succeeded", 12), headers=applied),
    )
    script.on(EVENTS_PATH, NO_EVENTS)
    assert asking.wait_for(RUN_ID).state == "succeeded"
    assert [one.headers.get("prefer") for one in script.to(RUN_PATH)] == [None, "wait=25", "wait=25"]


def test_updates_are_iterated_over(asking: Client, script: Script) -> None:
    script.on(RUN_PATH, Answer(body=run_json("running")))
    script.on(EVENTS_PATH, stream(event("finished", 9, run_json("failed", 3))))
    assert [(run.state, run.progress.done) for run in asking.updates(RUN_ID)] == [("running", 0), ("failed", 3)]


def test_a_run_without_a_verdict_says_why(asking: Client, script: Script) -> None:
    error = {"type": "x", "title": "x", "detail": "The hub is away.", "code": "hub_unreachable", "retryable": True}
    script.on(RUN_PATH, Answer(body=run_json("failed", error=error)))
    run, _ = follow(asking)
    with pytest.raises(NoVerdictError, match=r"has failed: The hub is away\. \[hub_unreachable\]") as caught:
        asking.verdict_of(run)
    assert caught.value.run == run
    queued = asking.reproduce("2101.00001")
    with pytest.raises(NoVerdictError, match="has not ended"):
        asking.verdict_of(queued)


def test_what_a_listener_raises_ends_the_wait(asking: Client, script: Script) -> None:
    def angry(_: Reproduction) -> None:
        raise LookupError("enough")

    script.on(RUN_PATH, Answer(body=run_json("running")))
    with pytest.raises(LookupError, match="enough"):
        asking.wait_for(RUN_ID, on_progress=angry)


# --- outages

AWAY = [DROPPED, Answer(502, b"<html>", {"Content-Type": "text/html"}), Answer(503), DROPPED, DROPPED, DROPPED]
"""More than any single request is repeated."""


def test_a_service_that_is_started_again_is_waited_for_and_goes_on_telling(asking: Client, script: Script) -> None:
    running = Answer(body=run_json("running"))
    script.on(RUN_PATH, running, running, *AWAY, running, *AWAY, running)
    script.on(
        EVENTS_PATH,
        stream(event("progress", 7, run_json("running", 3))),
        DROPPED,
        DROPPED,
        stream(event("finished", 9, run_json("succeeded", 12))),
    )
    away: list[Outage | None] = []
    run, seen = follow(asking, on_outage=away.append)
    assert run.state == "succeeded"
    assert seen == [("running", 0), ("running", 3), ("succeeded", 12)]
    assert [one.headers.get("last-event-id") for one in script.to(EVENTS_PATH)] == [None, "7", "7", "7"]
    assert [one is None for one in away] == 2 * [*(len(AWAY) * [False]), True]
    assert away[0] is not None
    assert 0 < away[0].left_s <= 300
    assert "does not answer" in away[0].reason


def test_who_polls_waits_too_and_then_asks_for_events_again(asking: Client, script: Script) -> None:
    soon = {"Retry-After": "0"}
    running = Answer(body=run_json("running", 3), headers=soon)
    script.on(RUN_PATH, running, running, *AWAY, running)
    script.on(EVENTS_PATH, NO_EVENTS, stream(event("finished", 9, run_json("succeeded", 12))))
    assert follow(asking)[1] == [("running", 3), ("succeeded", 12)]
    assert len(script.to(EVENTS_PATH)) == 2


@pytest.mark.parametrize("gone", [DROPPED, Answer(503)], ids=["silent", "refusing"])
def test_it_is_not_waited_for_for_ever_and_the_run_is_named(way: str, script: Script, gone: Answer) -> None:
    script.on(RUN_PATH, Answer(body=run_json("running")), gone)
    script.on(EVENTS_PATH, gone)
    bounded = Retries(first_s=0.01, outage_s=0.2)
    with client_of(way, script.url, retries=bounded) as client, pytest.raises(LostSightError) as caught:
        client.wait_for(RUN_ID)
    assert str(caught.value.run_id) == RUN_ID
    assert caught.value.lasted_s >= 0.2
    assert f'client.wait_for("{RUN_ID}")' in str(caught.value)
    assert isinstance(caught.value, UnreachableError)


def test_an_address_where_nobody_is_is_no_outage(way: str) -> None:
    with client_of(way, "http://127.0.0.1:9") as client, pytest.raises(UnreachableError) as caught:
        client.wait_for(RUN_ID)
    assert not isinstance(caught.value, LostSightError)


def test_the_verdict_is_waited_for_too(asking: Client, script: Script) -> None:
    script.on(RUN_PATH, Answer(body=run_json("succeeded", 12)))
    script.on(f"/v1/verdicts/{VERDICT_ID}", *AWAY, Answer(404, NO_EVENTS.body))
    run, _ = follow(asking)
    with pytest.raises(NotFoundError):
        asking.verdict_of(run)
    assert len(script.to(f"/v1/verdicts/{VERDICT_ID}")) == len(AWAY) + 1
