"""Streams over real sockets: what they say, that nothing is missed and nothing doubled, and their bounds."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from uuid import UUID

import httpx
import psycopg
import pytest
from httpx_sse import ServerSentEvent as Message

from app.access.scopes import Scope
from app.core.db import Database
from app.core.settings import AccessSettings, EventSettings, LimitSettings, ServingSettings, Settings
from app.events.prune import prune_events
from app.events.queries import last_position, read_events
from app.events.told import Wanted
from app.reproductions.cancel import cancel_reproduction
from app.reproductions.lease import confirm_cancel
from tests.api.helpers import NOBODY
from tests.events.running import Running, data_of, in_background, running, wait_until
from tests.events.test_events_log import age
from tests.factories.drivers import Subject, make_subject
from tests.factories.keys import make_key
from tests.factories.runs import ask, beat, predictions, take
from tests.factories.verdicts import conclude_without_rule, issue_verdict

PAPER = "2101.00001"
ROUNDS = 12


def run_path(run_id: UUID) -> str:
    return f"/v1/reproductions/{run_id}/events"


def cancel(database: Database, run_id: UUID) -> None:
    with database.unit_of_work() as session:
        cancel_reproduction(session, run_id)


def test_everything_is_told_as_it_happens(service: Running, database: Database, subject: Subject) -> None:
    with service.open() as stream:
        service.wait_for_streams(1)
        run_id = ask(database, subject)
        told = [stream.next()]
        assert data_of(told[0]) == service.get(f"/v1/reproductions/{run_id}").json()
        lease = take(database)
        told += [stream.lasting()]
        beat(database, lease, predictions(range(5)))
        progress = stream.next("reproduction.progress")
        while data_of(progress)["progress"]["done"] != 5:
            progress = stream.next("reproduction.progress")
        assert data_of(progress) == service.get(f"/v1/reproductions/{run_id}").json()
        assert progress.id == told[1].id  # what passes has no id of its own
        with database.unit_of_work() as session:
            first = conclude_without_rule(session, subject, lease).id
        told += [stream.lasting(), stream.lasting()]
        assert data_of(told[2]) == service.get(f"/v1/reproductions/{run_id}").json()
        assert data_of(told[3]) == {"paper": PAPER, "verdict": service.get(f"/v1/verdicts/{first}").json()}
        second = issue_verdict(database, subject)
        told += [stream.lasting(), stream.lasting()]
        assert data_of(told[4]) == {"paper": PAPER, "verdict": service.get(f"/v1/verdicts/{first}").json()}
        assert data_of(told[5]) == {"paper": PAPER, "verdict": service.get(f"/v1/verdicts/{second}").json()}
    names = ["reproduction.queued", "reproduction.running", "reproduction.finished"]
    assert [one.event for one in told] == [*names, "verdict.issued", "verdict.superseded", "verdict.issued"]
    assert [one.id for one in told] == ["1", "2", "3", "4", "5", "6"]
    assert stream.retry_ms == 2000


def test_the_document_shows_what_was_told(service: Running, database: Database, subject: Subject) -> None:
    service.get(f"/v1/papers/{PAPER}")
    with service.open() as stream:
        service.wait_for_streams(1)
        for number in range(10):
            made = issue_verdict(database, subject, score=0.5 + number / 100)
            assert data_of(stream.next("verdict.issued"))["verdict"]["id"] == str(made)
            assert service.get(f"/v1/papers/{PAPER}").json()["verdict"]["id"] == str(made)


def test_a_runs_stream_starts_with_its_state_and_ends_with_its_end(
    service: Running, database: Database, subject: Subject
) -> None:
    other = ask(database, subject, kind="PRE", priority=9)
    run_id = ask(database, subject)
    with service.open(run_path(run_id)) as stream:
        first = stream.next()
        assert (first.event, data_of(first)["queue_position"]) == ("reproduction.queued", 1)
        lease = take(database)
        assert stream.lasting().event == "reproduction.running"
        beat(database, lease, predictions(range(5)))
        with service.open(run_path(run_id)) as later:
            present = later.next()
            assert (present.event, data_of(present)["progress"]["done"]) == ("reproduction.running", 5)
            cancel(database, other)  # somebody else's
            with database.unit_of_work() as session:
                confirm_cancel(session, lease)
            for one in (stream, later):
                *_, last = one.rest()
                assert last.event == "reproduction.finished"
                assert data_of(last) == service.get(f"/v1/reproductions/{run_id}").json()
    assert [one.event for one in later_messages(service, run_id)] == ["reproduction.finished"]
    # A browser comes again when a stream has ended; it is told that there is nothing to come for.
    again = service.get(run_path(run_id), headers={"Last-Event-ID": last.id})
    assert (again.status_code, again.content) == (204, b"")


def test_who_waits_hears_of_its_place(service: Running, database: Database, subject: Subject) -> None:
    first, second, third = (ask(database, subject, force=True) for _ in range(3))
    with service.open(run_path(third)) as stream:
        assert data_of(stream.next())["queue_position"] == 3
        cancel(database, second)
        moved = stream.next()
        assert (moved.event, moved.id) == ("reproduction.progress", stream.last_event_id)
        assert (data_of(moved)["state"], data_of(moved)["queue_position"]) == ("queued", 2)
        ask(database, subject, force=True)  # behind it: no news
        assert take(database).reproduction_id == first
        assert data_of(stream.next())["queue_position"] == 1
        take(database)
        assert stream.next().event == "reproduction.running"


def later_messages(service: Running, run_id: UUID) -> list[Message]:
    with service.open(run_path(run_id)) as stream:
        return stream.rest()


def test_a_runs_stream_is_resumed(service: Running, database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    with service.open(run_path(run_id)) as stream:
        seen = stream.next().id
    lease = take(database)
    with service.open(run_path(run_id), Last_Event_ID=seen) as stream:
        missed = stream.next()
        assert missed.event == "reproduction.running"
    with service.open(run_path(run_id), Last_Event_ID=missed.id) as stream:
        present = stream.next()
        assert (present.event, present.id) == ("reproduction.progress", missed.id)
        with database.unit_of_work() as session:
            confirm_cancel(session, lease)
        assert stream.lasting().event == "reproduction.finished"


def test_nothing_is_missed_and_nothing_doubled_across_reconnects(
    service: Running, database: Database, subject: Subject
) -> None:
    subjects = [subject, *(make_subject(database, f"tiny-{i}", f"2101.0000{i + 2}") for i in range(2))]
    done = threading.Event()
    heard: list[Message] = []

    def write(one: Subject) -> None:
        for _ in range(ROUNDS):
            cancel(database, ask(database, one, force=True))
            issue_verdict(database, one)

    def listen() -> None:
        turn = 0
        while not (done.is_set() and len(heard) == 3 * (ROUNDS * 4 - 1)):
            since = heard[-1].id if heard else "0"
            turn += 1
            path = f"/v1/events?last_event_id={since if turn % 2 else '0'}"  # the header counts, where there are both
            headers = {} if turn % 2 else {"Last_Event_ID": since}
            with service.open(path, **headers) as stream:
                heard.extend(stream.lasting() for _ in range(min(7, 3 * (ROUNDS * 4 - 1) - len(heard))))

    with in_background(listen):
        with in_background(*(lambda one=one: write(one) for one in subjects)):
            pass
        done.set()
    with database.unit_of_work() as session:
        log = read_events(session, Wanted(), after=0, upto=last_position(session), limit=10_000)
    assert [one.id for one in heard] == [str(one.position) for one in log]
    assert [one.event for one in heard] == [one.type.value for one in log]


def test_a_stream_is_narrowed(service: Running, database: Database, subject: Subject) -> None:
    other = make_subject(database, "other", "2101.00002")
    with ExitStack() as stack:
        paths = ("?type=verdict.issued&type=verdict.superseded", "?paper=2101.00002", "?kind=PRE")
        streams = [stack.enter_context(service.open(f"/v1/events{query}")) for query in paths]
        service.wait_for_streams(3)
        for one in (subject, other):
            ask(database, one, kind="PRE")
            issue_verdict(database, one)
            issue_verdict(database, one)
        verdicts, of_paper, pre = streams
        assert [verdicts.next().event for _ in range(6)] == 2 * [
            "verdict.issued",
            "verdict.superseded",
            "verdict.issued",
        ]
        assert [of_paper.next().id for _ in range(4)] == ["5", "6", "7", "8"]
        assert [data_of(pre.next())["paper_arxiv_id"] for _ in range(2)] == [PAPER, "2101.00002"]
    with service.open("/v1/events?last_event_id=0&paper=2101.00002&kind=POST&type=verdict.superseded") as stream:
        assert stream.next().id == "7"


def test_what_cannot_be_told_is_refused(service: Running, database: Database, subject: Subject) -> None:
    for _ in range(4):
        ask(database, subject, force=True)
    age(database, 3, 31)
    with database.unit_of_work() as session:
        prune_events(session, 30)
    refusals = {
        "/v1/events?last_event_id=1": (410, "events_gone"),  # 2 is forgotten
        "/v1/events?last_event_id=5": (410, "events_gone"),  # of another log
        "/v1/events?last_event_id=nonsense": (422, "validation_failed"),
        "/v1/events?last_event_id=99999999999999999999": (422, "validation_failed"),
        "/v1/events?type=reproduction.exploded": (422, "validation_failed"),
        "/v1/events?paper=2101.09999": (404, "paper_not_found"),
        "/v1/events?paper=2101.00001v1": (422, "version_not_meant"),
        "/v1/events?paper=nothing": (422, "paper_id_malformed"),
        run_path(UUID(NOBODY)): (404, "reproduction_not_found"),
        "/v1/reproductions/x/events": (422, "validation_failed"),
    }
    found = {path: service.get(path) for path in refusals}
    assert {path: (one.status_code, one.json()["code"]) for path, one in found.items()} == refusals
    for known in ("0", "3", "4"):
        with service.open("/v1/events", Last_Event_ID=known):
            pass
    service.wait_for_streams(0)


# --- bounds


@pytest.fixture
def events() -> EventSettings:
    return EventSettings()


@pytest.fixture
def bounded(settings: Settings, events: EventSettings) -> Iterator[Running]:
    with running(settings.model_copy(update={"events": events})) as found:
        yield found


@pytest.mark.parametrize("events", [EventSettings(streams=3, streams_of_address=2)])
def test_streams_are_counted_and_their_places_given_back(bounded: Running, database: Database) -> None:
    with bounded.open(), bounded.open():
        bounded.wait_for_streams(2)
        refused = bounded.get("/v1/events")
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_streams_of_address")
        assert int(refused.headers["retry-after"]) > 0
        # An address further away, by a proxy that is trusted, would have its own count; here the process's own is next.
        with bounded.state.streams.take("elsewhere"):
            refused = bounded.get("/v1/events")
            assert (refused.status_code, refused.json()["code"]) == (503, "too_many_streams")
            assert int(refused.headers["retry-after"]) > 0
        assert bounded.get("/healthz").status_code == 200
        assert "paper_verdicts_event_streams 2.0" in bounded.get("/metrics").text
    bounded.wait_for_streams(0)  # the clients have gone
    with bounded.open() as stream:
        make_subject(database)
        assert not stream.raw
    bounded.wait_for_streams(0)


@pytest.mark.parametrize("events", [EventSettings(heartbeat_s=0.05, poll_s=0.05)])
def test_a_stream_with_nothing_to_tell_says_that_it_lives(bounded: Running) -> None:
    with bounded.open() as stream:
        stream.hear(lambda raw: raw.endswith(b"\n\n:\n\n:\n\n:\n\n"))
        assert stream.raw.replace(b":\n\n", b"") == b"id: 0\nretry: 2000\n\n"


@pytest.mark.parametrize("events", [EventSettings(longest_s=0.1, poll_s=0.05)])
def test_a_stream_ends_after_its_time(bounded: Running, database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    for path in ("/v1/events", run_path(run_id)):
        with bounded.open(path) as stream:
            assert len(stream.rest()) == (path != "/v1/events")
        assert stream.last_event_id == "1"


def test_who_takes_nothing_is_cut_off(settings: Settings, database: Database, subject: Subject) -> None:
    limits = LimitSettings(write_s=0.5)
    with running(settings.model_copy(update={"limits": limits})) as service:
        port = int(service.base.rpartition(":")[2])
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", port))
            client.sendall(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
            service.wait_for_streams(1)
            with service.open() as quick:
                big = {"notes": "x" * 200_000}
                while service.state.streams.taken == 2:
                    issue_verdict(database, subject, decision=big)
                    quick.next("verdict.issued")  # somebody else is not held up by it
            service.wait_for_streams(0)


def test_reads_that_take_a_key(settings: Settings, database: Database, subject: Subject) -> None:
    closed = settings.model_copy(update={"access": AccessSettings(reads="keys")})
    key = make_key(database, Scope.read).key
    run_id = ask(database, subject)
    with running(closed) as service:
        for path in ("/v1/events", run_path(run_id)):
            refused = service.get(path)
            assert (refused.status_code, refused.json()["code"]) == (401, "key_required")
            with service.open(path, Authorization=f"Bearer {key}") as stream:
                assert "access-control-allow-origin" not in stream.response.headers
        service.wait_for_streams(0)


# --- on the way


def test_nothing_on_the_way_holds_it_back(service: Running, database: Database, subject: Subject) -> None:
    for coding in ("gzip", "br", "zstd", "identity"):
        with service.open("/v1/events", Accept_Encoding=coding, Origin="https://elsewhere.example") as stream:
            service.wait_for_streams(1)
            headers = stream.response.headers
            assert "content-encoding" not in headers
            assert (headers["cache-control"], headers["x-accel-buffering"]) == ("no-store", "no")
            assert headers["access-control-allow-origin"] == "*"
            ask(database, subject, force=True)
            assert stream.next().event == "reproduction.queued"
        service.wait_for_streams(0)


def test_head_is_answered(service: Running, database: Database, subject: Subject) -> None:
    for path in ("/v1/events", run_path(ask(database, subject))):
        answer = httpx.head(service.base + path, timeout=60)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-type"].startswith("text/event-stream")
    service.wait_for_streams(0)


def test_without_messages_the_log_is_looked_at(settings: Settings, database: Database, subject: Subject) -> None:
    deaf = ServingSettings(listen_url="postgresql://nobody@127.0.0.1:9/nowhere")
    with running(settings.model_copy(update={"serving": deaf})) as service, service.open() as stream:
        ask(database, subject)
        assert stream.next().event == "reproduction.queued"


def test_a_database_that_was_away_is_read_again(
    service: Running, database: Database, subject: Subject, dsn: str
) -> None:
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    cut = f"SELECT pg_terminate_backend(pid) {others}"  # of literals
    with service.open() as stream, psycopg.connect(dsn, autocommit=True) as operator:
        for _ in range(3):
            ask(database, subject, force=True)
            operator.execute(cut)
        assert [stream.next().id for _ in range(3)] == ["1", "2", "3"]


def test_old_and_new_meet_without_a_seam(service: Running, database: Database, subject: Subject) -> None:
    # More than a page of the log, while more is written: from the log first, then as it happens.
    for _ in range(105):
        ask(database, subject, force=True)
    with service.open("/v1/events?last_event_id=0") as stream:
        heard = [stream.next().id for _ in range(50)]
        for _ in range(20):
            ask(database, subject, force=True)
        heard += [stream.next().id for _ in range(75)]
    assert heard == [str(number) for number in range(1, 126)]


def test_when_the_service_stops_streams_end_in_order(settings: Settings, database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    with running(settings) as service, ExitStack() as stack:
        streams = [stack.enter_context(service.open(path)) for path in ("/v1/events", run_path(run_id))]
        service.wait_for_streams(2)
        service.server.should_exit = True
        for stream in streams:  # a stream that was broken off would raise
            stream.rest()
    wait_until(lambda: service.state.streams.taken == 0)
