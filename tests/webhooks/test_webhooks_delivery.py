"""What a receiver is told, that it is told whatever happens, and that a failing one is left alone in the end."""

import json
import threading
from datetime import datetime
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy import text
from standardwebhooks import WebhookVerificationError

from app.access.keys import revoke_key
from app.core.db import Database
from app.core.settings import Settings, WebhookSettings
from app.reproductions.cancel import cancel_reproduction
from app.webhooks.prune import prune_deliveries
from tests.events.running import PATIENCE_S, Running, in_background, running, wait_until
from tests.factories.deaf import deaf_process
from tests.factories.drivers import Subject, make_subject
from tests.factories.forks import Forks
from tests.factories.keys import make_key
from tests.factories.runs import ask, take
from tests.factories.served import serving
from tests.factories.verdicts import conclude_without_rule, issue_verdict
from tests.webhooks.conftest import QUICK
from tests.webhooks.receiver import Receiver, receiving, status

Json = dict[str, Any]


def register(client: httpx.Client, receiver: Receiver, **fields: Any) -> Json:  # noqa: ANN401  # fields of the schema
    made = client.post("/v1/webhooks", json={"url": receiver.url, **fields})
    assert made.status_code == 201, made.text
    body: Json = made.json()
    return body


def deliveries(client: httpx.Client, webhook: Json) -> list[Json]:
    items: list[Json] = client.get(f"/v1/webhooks/{webhook['id']}/deliveries").json()["items"]
    return items[::-1]


def states(client: httpx.Client, webhook: Json) -> list[str]:
    return [one["state"] for one in deliveries(client, webhook)]


def attempted(client: httpx.Client, webhook: Json, times: int) -> bool:
    return [len(one["attempts"]) for one in deliveries(client, webhook)] == [times]


def read(client: httpx.Client, webhook: Json) -> Json:
    body: Json = client.get(f"/v1/webhooks/{webhook['id']}").json()
    return body


def test_events_are_brought_signed_and_once(
    client: httpx.Client, receiver: Receiver, database: Database, subject: Subject
) -> None:
    issue_verdict(database, subject)  # before anybody asked for it
    webhook = register(client, receiver)
    run_id = ask(database, subject)
    lease = take(database)
    with database.unit_of_work() as session:
        conclude_without_rule(session, subject, lease)
    receiver.wait_for(3)
    wait_until(lambda: states(client, webhook) == 3 * ["delivered"])
    messages = receiver.verified(webhook["secret"])
    told = [json.loads(one.body) for one in receiver.received]
    assert messages == told
    assert [one["type"] for one in told] == ["reproduction.finished", "verdict.superseded", "verdict.issued"]
    run = client.get(f"/v1/reproductions/{run_id}").json()
    verdict = client.get(f"/v1/verdicts/{run['verdict_id']}").json()
    assert told[0]["data"] == run
    assert told[2]["data"] == {"paper": "2101.00001", "verdict": verdict}
    assert len({one.id for one in receiver.received}) == 3
    assert {one.headers["content-type"] for one in receiver.received} == {"application/json"}
    assert all(one["timestamp"].endswith("Z") for one in told)
    assert [one["event_id"] for one in deliveries(client, webhook)] == [one.id for one in receiver.received]
    attempts = [one["attempts"] for one in deliveries(client, webhook)]
    assert [[(one["status"], one["error"]) for one in some] for some in attempts] == 3 * [[(204, None)]]
    with pytest.raises(WebhookVerificationError):
        receiver.verified("whsec_" + "A" * 43 + "=")


def test_who_is_told_finds_it_in_every_process(
    client: httpx.Client, receiver: Receiver, database: Database, subject: Subject
) -> None:
    register(client, receiver)
    told: list[bool] = []
    with deaf_process(database) as may_show_what_was_before:

        def answer(request: BaseHTTPRequestHandler, number: int) -> None:
            told.append(may_show_what_was_before())
            status(204)(request, number)

        receiver.answer = answer
        issue_verdict(database, subject)
        wait_until(lambda: bool(told))
    assert not told[0]


def test_only_what_was_asked_for_is_told(
    client: httpx.Client, receiver: Receiver, database: Database, subject: Subject
) -> None:
    webhook = register(client, receiver, events=["verdict.superseded"])
    for _ in range(3):
        issue_verdict(database, subject)
    receiver.wait_for(2)
    wait_until(lambda: states(client, webhook) == 2 * ["delivered"])
    assert {json.loads(one.body)["type"] for one in receiver.received} == {"verdict.superseded"}


def test_an_attempt_that_fails_is_made_again_with_the_same_message(
    client: httpx.Client, receiver: Receiver, database: Database, subject: Subject
) -> None:
    answers = [status(500), status(302, Location=f"{receiver.url}/elsewhere"), status(404), status(200)]
    receiver.answer = lambda request, before: answers[before](request, before)
    webhook = register(client, receiver)
    issue_verdict(database, subject)
    receiver.wait_for(4)
    wait_until(lambda: states(client, webhook) == ["delivered"])
    assert len(receiver.verified(webhook["secret"])) == 4
    assert {(one.id, one.body, one.path) for one in receiver.received} == {
        (receiver.received[0].id, receiver.received[0].body, "/hook")  # no redirect is followed
    }
    (delivery,) = deliveries(client, webhook)
    errors = [(one["status"], one["error"]) for one in delivery["attempts"]]
    assert errors == [(500, "status_500"), (302, "status_302"), (404, "status_404"), (200, None)]
    assert read(client, webhook)["failing_since"] is None


def test_a_message_that_never_gets_through_fails_in_the_end_and_can_be_told_again(
    client: httpx.Client, receiver: Receiver, database: Database, subject: Subject
) -> None:
    receiver.answer = status(503)
    webhook = register(client, receiver)
    issue_verdict(database, subject)
    wait_until(lambda: states(client, webhook) == ["failed"])
    assert len(receiver.received) == 1 + len(QUICK.retries_s)
    shown = read(client, webhook)
    assert (shown["enabled"], shown["failing_since"] is None) == (True, False)
    receiver.answer = status(204)
    (delivery,) = deliveries(client, webhook)
    again = client.post(f"/v1/webhooks/{webhook['id']}/deliveries/{delivery['id']}/replay")
    assert (again.status_code, again.json()["state"]) == (202, "pending")
    wait_until(lambda: states(client, webhook) == ["delivered"])
    assert len({one.id for one in receiver.received}) == 1
    assert read(client, webhook)["failing_since"] is None


@pytest.mark.parametrize("webhooks", [QUICK.model_copy(update={"retries_s": (1000.0, 20_000.0)})])
def test_each_attempt_waits_longer_than_the_one_before(
    client: httpx.Client, receiver: Receiver, database: Database, subject: Subject
) -> None:
    receiver.answer = status(500)
    webhook = register(client, receiver)
    issue_verdict(database, subject)
    waited = []
    for number in (1, 2):
        wait_until(partial(attempted, client, webhook, number))
        (delivery,) = deliveries(client, webhook)
        last = datetime.fromisoformat(delivery["attempts"][-1]["at"])
        waited.append((datetime.fromisoformat(delivery["next_attempt_at"]) - last).total_seconds())
        with database.unit_of_work() as session:
            session.execute(text("UPDATE webhook_deliveries SET next_attempt_at = now()"))
    assert 900 <= waited[0] <= 1200  # a tenth more or less, and what the attempt itself took
    assert 18_000 <= waited[1] <= 22_100
    wait_until(lambda: states(client, webhook) == ["failed"])


@pytest.mark.parametrize("webhooks", [QUICK.model_copy(update={"timeout_s": 0.3})])
@pytest.mark.parametrize("how", ["hangs", "drips a head", "drips a body"])
def test_a_receiver_that_takes_its_time_is_given_up(
    client: httpx.Client, receiver: Receiver, database: Database, subject: Subject, how: str
) -> None:
    go = threading.Event()

    def answer(request: BaseHTTPRequestHandler, _: int) -> None:
        if how == "drips a body":
            request.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        elif how == "drips a head":
            request.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while how != "hangs" and not go.wait(0.05):
            try:
                request.wfile.write(b"1\r\nx\r\n" if how == "drips a body" else b"X-A: b\r\n")
            except OSError:
                return
        go.wait(PATIENCE_S)

    receiver.answer = answer
    webhook = register(client, receiver)
    issue_verdict(database, subject)
    over = "delivered" if how == "drips a body" else "failed"  # its status is all that is wanted of it
    wait_until(lambda: states(client, webhook) == [over])
    go.set()
    (delivery,) = deliveries(client, webhook)
    expected = None if how == "drips a body" else "timeout"
    assert {one["error"] for one in delivery["attempts"]} == {expected}


def test_a_receiver_that_is_not_there_fails(client: httpx.Client, database: Database, subject: Subject) -> None:
    with receiving() as away:
        pass
    webhook = register(client, away)
    issue_verdict(database, subject)
    wait_until(lambda: states(client, webhook) == ["failed"])
    (delivery,) = deliveries(client, webhook)
    assert {(one["status"], one["error"]) for one in delivery["attempts"]} == {(None, "unreachable")}


def test_one_that_hangs_holds_up_nobody(
    client: httpx.Client, receiver: Receiver, database: Database, subject: Subject
) -> None:
    go = threading.Event()
    with receiving() as slow:
        slow.answer = lambda *_: go.wait(PATIENCE_S)
        register(client, slow)
        webhook = register(client, receiver)
        for _ in range(4):
            issue_verdict(database, subject)
        wait_until(lambda: states(client, webhook) == 7 * ["delivered"])
        assert len(slow.received) == 1  # one attempt at a time
        go.set()


def test_gone_is_gone(client: httpx.Client, receiver: Receiver, database: Database, subject: Subject) -> None:
    receiver.answer = status(410)
    webhook = register(client, receiver, events=["verdict.issued"])
    issue_verdict(database, subject)
    wait_until(lambda: not read(client, webhook)["enabled"])
    assert read(client, webhook)["disabled_reason"] == "gone"
    issue_verdict(database, subject)
    with receiving() as other:  # when this one has it, the other one would have it, too
        register(client, other)
        issue_verdict(database, subject)
        other.wait_for(1)
    assert len(receiver.received) == 1
    receiver.answer = status(204)
    enabled = client.post(f"/v1/webhooks/{webhook['id']}/enable").json()
    assert (enabled["enabled"], enabled["disabled_reason"]) == (True, None)
    receiver.wait_for(4)  # it goes on where it stopped
    wait_until(lambda: states(client, webhook) == 3 * ["delivered"])


@pytest.mark.parametrize("webhooks", [QUICK.model_copy(update={"disable_after_days": 1e-7})])
def test_one_that_fails_for_long_is_disabled(
    client: httpx.Client, receiver: Receiver, database: Database, subject: Subject
) -> None:
    receiver.answer = status(500)
    webhook = register(client, receiver)
    issue_verdict(database, subject)
    wait_until(lambda: not read(client, webhook)["enabled"])
    shown = read(client, webhook)
    assert (shown["disabled_reason"], shown["failing_since"] < shown["disabled_at"]) == ("failing", True)
    assert states(client, webhook) == ["pending"]


def test_a_secret_is_changed_with_both_valid_for_a_while(
    client: httpx.Client, receiver: Receiver, database: Database, subject: Subject
) -> None:
    webhook = register(client, receiver)
    rotated = client.post(f"/v1/webhooks/{webhook['id']}/rotate").json()
    assert rotated["secret"] != webhook["secret"]
    assert rotated["previous_secret_until"] is not None
    issue_verdict(database, subject)
    receiver.wait_for(1)
    assert receiver.verified(webhook["secret"]) == receiver.verified(rotated["secret"])
    with database.unit_of_work() as session:
        session.execute(text("UPDATE webhooks SET previous_until = now()"))
    issue_verdict(database, subject)
    receiver.wait_for(2)
    del receiver.received[0]
    assert receiver.verified(rotated["secret"])
    with pytest.raises(WebhookVerificationError):
        receiver.verified(webhook["secret"])


def test_everything_since_a_moment_is_told_again(
    client: httpx.Client, receiver: Receiver, database: Database, subject: Subject
) -> None:
    issue_verdict(database, subject)  # before it was registered
    webhook = register(client, receiver, events=["verdict.issued"])
    issue_verdict(database, subject)
    wait_until(lambda: states(client, webhook) == ["delivered"])
    again = client.post(f"/v1/webhooks/{webhook['id']}/replay", json={"since": "2020-01-01T00:00:00Z"})
    assert (again.status_code, again.json()) == (202, {"deliveries": 2})
    wait_until(lambda: states(client, webhook) == 2 * ["delivered"])
    assert sorted(one.id for one in receiver.wait_for(3)) == ["evt_1", "evt_3", "evt_3"]
    none = client.post(f"/v1/webhooks/{webhook['id']}/replay", json={"since": "2100-01-01T00:00:00Z"})
    assert none.json() == {"deliveries": 0}


def test_a_key_that_was_revoked_is_told_nothing(
    service: Running, receiver: Receiver, database: Database, subject: Subject
) -> None:
    key = make_key(database)
    with httpx.Client(base_url=service.base, headers={"Authorization": f"Bearer {key.key}"}, timeout=60) as client:
        register(client, receiver)
        with receiving() as other:
            with database.unit_of_work() as session:
                revoke_key(session, key.prefix)
            key = make_key(database)
            client.headers["Authorization"] = f"Bearer {key.key}"
            register(client, other)
            issue_verdict(database, subject)
            other.wait_for(1)
    assert receiver.received == []


def test_two_services_share_the_work(
    settings: Settings, client: httpx.Client, receiver: Receiver, database: Database, subject: Subject
) -> None:
    webhook = register(client, receiver, events=["verdict.issued", "reproduction.finished"])
    others = [subject, make_subject(database, "other", "2101.00002")]

    def write(one: Subject) -> None:
        for _ in range(8):
            issue_verdict(database, one)
            run_id = ask(database, one, force=True)
            with database.unit_of_work() as session:
                cancel_reproduction(session, run_id)

    with running(settings), in_background(*(lambda one=one: write(one) for one in others)):
        receiver.wait_for(32)
    wait_until(lambda: states(client, webhook) == 32 * ["delivered"])
    assert len(receiver.received) == len({one.id for one in receiver.received}) == 32


@pytest.mark.timeout(600)  # a process starts here, which takes its time on a busy machine
def test_what_a_killed_process_was_at_is_told_again(
    forks: Forks,
    database_url: str,
    redis_url: str,
    database: Database,
    subject: Subject,
    receiver: Receiver,
    tmp_path: Path,
) -> None:
    environment = {"VERDICTS_WEBHOOKS__ALLOW_HTTP": "true", "VERDICTS_WEBHOOKS__ALLOW_PRIVATE": "true"}
    environment |= {"VERDICTS_WEBHOOKS__LEASE_S": "1", "VERDICTS_LOG_LEVEL": "ERROR"}
    key = make_key(database).key
    go = threading.Event()
    receiver.answer = lambda *_: go.wait(PATIENCE_S)
    with serving(forks, database_url, redis_url, tmp_path, **environment) as served:
        with httpx.Client(base_url=served.base, headers={"Authorization": f"Bearer {key}"}, timeout=60) as client:
            webhook = register(client, receiver)
        issue_verdict(database, subject)
        receiver.wait_for(1)
        served.process.kill()
    go.set()
    receiver.answer = status(204)
    quick = WebhookSettings(allow_http=True, allow_private=True, poll_s=0.05)
    second = Settings(database_url=database_url, redis_url=redis_url, log_level="ERROR", webhooks=quick)
    with running(second) as service:
        receiver.wait_for(2)
        with httpx.Client(base_url=service.base, headers={"Authorization": f"Bearer {key}"}, timeout=60) as client:
            wait_until(lambda: states(client, webhook) == ["delivered"])
    assert len({(one.id, one.body) for one in receiver.received}) == 1


def test_old_deliveries_are_forgotten(
    client: httpx.Client, receiver: Receiver, database: Database, subject: Subject, dsn: str
) -> None:
    webhook = register(client, receiver)
    issue_verdict(database, subject)
    wait_until(lambda: states(client, webhook) == ["delivered"])
    with psycopg.connect(dsn) as connection:
        connection.execute("UPDATE webhook_deliveries SET created_at = now() - interval '31 days'")
    with database.unit_of_work() as session:
        assert prune_deliveries(session, 32) == 0
        assert prune_deliveries(session, 30) == 1
    assert deliveries(client, webhook) == []
