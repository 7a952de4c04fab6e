from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from app.catalogue.load import load_catalogue
from app.core.db import Database
from app.core.queue import Doorbell, make_celery
from app.core.settings import QueueSettings
from app.protocol.errors import DriverError
from app.reproductions.lease import Beat, Lease, confirm_cancel, give_up, heartbeat, take_run
from tests.api.helpers import DRAFT, DRAFT_DRIVER, DRIVER, NOBODY, PAPER, Api, Json, ok, refused, unchanged, walk

pytestmark = pytest.mark.usefixtures("catalogue")

PATH = f"/v1/papers/{PAPER}/reproductions"
DRAFT_PATH = f"/v1/papers/{DRAFT}/reproductions"
QUEUE = QueueSettings()


class Bell(Doorbell):
    """A doorbell that only remembers."""

    def __init__(self) -> None:
        self.rung: list[str] = []

    def ring(self, reproduction_id: str) -> bool:
        self.rung.append(reproduction_id)
        return True

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def bell(app: FastAPI) -> Bell:
    found = app.state.doorbell = Bell()
    return found


def take(database: Database) -> Lease:
    with database.unit_of_work() as session:
        lease = take_run(session, "worker-1", QUEUE)
    assert lease is not None
    return lease


def claim_of(api: Api, paper: str) -> str:
    (claim,) = ok(api.get(f"/v1/papers/{paper}/claims"))["items"]
    assert isinstance(claim["id"], str)
    return claim["id"]


def test_asking_for_a_run(client: Api, bell: Bell) -> None:
    answer = client.post(PATH, json={})
    run = ok(answer, 202)
    assert answer.headers["location"] == f"/v1/reproductions/{run['id']}"
    assert int(answer.headers["retry-after"]) > 0
    assert bell.rung == [run["id"]]
    asked = datetime.fromisoformat(run["requested_at"])
    assert abs(datetime.now(UTC) - asked) < timedelta(seconds=60)
    assert datetime.fromisoformat(run["deadline_at"]) - asked == timedelta(seconds=QUEUE.deadline_s)
    assert run == {
        "id": run["id"],
        "paper_arxiv_id": PAPER,
        "paper_version": 1,
        "claim_id": claim_of(client, PAPER),
        "driver": DRIVER,
        "agent_version": f"v0.1.0-{DRIVER}",
        "kind": "POST",
        "slice": {"kind": "balanced", "size": 5000, "seed": 0},
        "state": "queued",
        "done": False,
        "stage": None,
        "progress": {"done": 0, "total": None, "correct": 0},
        "estimate": None,
        "queue_position": 1,
        "priority": 5,
        "attempt": 0,
        "max_attempts": 3,
        "worker": None,
        "cancel_requested": False,
        "requested_at": run["requested_at"],
        "started_at": None,
        "heartbeat_at": None,
        "finished_at": None,
        "deadline_at": run["deadline_at"],
        "error": None,
        "verdict_id": None,
        "verdict_status": None,
    }
    read = client.get(answer.headers["location"])
    assert ok(read) == run
    assert int(read.headers["retry-after"]) > 0


def test_what_can_be_asked_for(client: Api, bell: Bell) -> None:
    claim = claim_of(client, PAPER)
    wanted: Json = {"claim": claim, "driver": DRIVER, "kind": "PRE", "slice_size": 300, "priority": 0, "force": True}
    run = ok(client.post(PATH, json=wanted), 202)
    assert (run["kind"], run["priority"], run["slice"]["size"]) == ("PRE", 0, 300)
    assert run["slice"]["kind"] == "balanced"
    full = ok(client.post(DRAFT_PATH, json={"driver": DRAFT_DRIVER}), 202)
    assert full["slice"] == {"kind": "full", "size": None, "seed": 0}
    part = ok(client.post(DRAFT_PATH, json={"slice_size": 500}), 202)
    assert part["slice"] == {"kind": "simple", "size": 500, "seed": 0}
    whole = ok(client.post(DRAFT_PATH, json={"slice_size": 9815}), 202)
    assert whole["id"] == full["id"]
    assert len(bell.rung) == 3


def test_while_one_is_in_flight_the_same_one_is_returned(client: Api, bell: Bell, database: Database) -> None:
    run = ok(client.post(PATH, json={}), 202)
    with unchanged(database):
        again = client.post(PATH, json={"claim": run["claim_id"], "driver": DRIVER, "slice_size": 5000, "priority": 9})
        assert ok(again, 202)["id"] == run["id"]
        assert again.headers["location"] == f"/v1/reproductions/{run['id']}"
        assert ok(client.post(f"/v1/papers/{PAPER}v1/reproductions", json={}), 202)["id"] == run["id"]
    others = [{"kind": "PRE"}, {"slice_size": 300}, {"force": True}, {"force": True}]
    ids = {ok(client.post(PATH, json=body), 202)["id"] for body in others}
    assert len(ids | {run["id"]}) == 5
    ok(client.post(f"/v1/papers/{PAPER}/versions", json={}), 201)
    assert ok(client.post(PATH, json={}), 202)["paper_version"] == 2
    assert len(bell.rung) == 6
    take(database)
    assert ok(client.post(f"/v1/papers/{PAPER}v1/reproductions", json={}), 202)["id"] == run["id"]
    ok(client.post(f"/v1/reproductions/{run['id']}/cancel"))


def test_of_many_who_ask_at_once_all_get_one_run(client: Api, bell: Bell) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: client.post(PATH, json={}), range(16)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(bell.rung) == 1


def test_a_key_gives_the_same_answer_once_more(client: Api, bell: Bell, database: Database) -> None:
    key = {b"Idempotency-Key": "Größe".encode()}
    first = client.post(PATH, json={"force": True}, headers=key)
    assert "idempotent-replayed" not in first.headers
    take(database)
    with unchanged(database):
        again = client.post(PATH, json={"force": True, "priority": 5}, headers=key)
        assert again.headers["idempotent-replayed"] == "true"
        assert (again.status_code, again.content) == (202, first.content)
        assert again.headers["location"] == first.headers["location"]
        for body, path in (({"force": False}, PATH), ({"force": True}, f"/v1/papers/{PAPER}v1/reproductions")):
            refused(client.post(path, json=body, headers=key), 422, "idempotency_key_reused")
        for bad in ("", "a" * 256):
            problem = client.post(PATH, json={}, headers={"Idempotency-Key": bad})
            refused(problem, 422, "validation_failed", "header.Idempotency-Key")
    assert len(bell.rung) == 1
    assert (
        ok(client.post(PATH, json={"force": True}, headers={"Idempotency-Key": "b"}), 202)["id"] != first.json()["id"]
    )


def test_a_request_that_fails_leaves_no_key(client: Api, database: Database) -> None:
    key = {"Idempotency-Key": "a"}
    with unchanged(database):
        refused(client.post(PATH, json={"claim": NOBODY}, headers=key), 404, "claim_not_found")
    ok(client.post(PATH, json={}, headers=key), 202)


def test_of_many_with_one_key_one_is_carried_out(client: Api, bell: Bell) -> None:
    def ask(_: int) -> tuple[bool, str]:
        answer = client.post(PATH, json={"force": True}, headers={"Idempotency-Key": "same"})
        return "idempotent-replayed" in answer.headers, ok(answer, 202)["id"]

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(8)))
    assert sorted(replayed for replayed, _ in answers) == [False] + [True] * 7
    assert len({run for _, run in answers}) == len(bell.rung) == 1


def test_what_cannot_be_run_is_refused(client: Api, bell: Bell, database: Database, catalogue: Path) -> None:
    driven, of_draft = claim_of(client, PAPER), claim_of(client, DRAFT)
    undriven = client.post_claim(PAPER, row="Nobody's")["id"]
    client.put_paper("2111.09544")
    client.put_paper("2111.09545", withdrawn=True)
    client.post_claim("2111.09545")
    spec = (catalogue / f"drivers/{DRIVER}.toml").read_text(encoding="utf-8")
    (catalogue / "drivers/second.toml").write_text(
        spec.replace(f'slug = "{DRIVER}"', 'slug = "second"'), encoding="utf-8"
    )
    with database.unit_of_work() as session:
        load_catalogue(session, catalogue)
    with unchanged(database):
        for path, body, status, code in (
            ("/v1/papers/2111.09546/reproductions", {}, 404, "paper_not_found"),
            (f"/v1/papers/{PAPER}v2/reproductions", {}, 404, "version_not_found"),
            ("/v1/papers/2111.0/reproductions", {}, 422, "paper_id_malformed"),
            ("/v1/papers/2111.09544/reproductions", {}, 404, "claim_not_found"),
            ("/v1/papers/2111.09545/reproductions", {}, 409, "paper_withdrawn"),
            (PATH, {"claim": NOBODY}, 404, "claim_not_found"),
            (PATH, {"claim": of_draft}, 404, "claim_not_found"),
            (PATH, {"claim": undriven}, 422, "claim_without_driver"),
            (PATH, {"driver": "nobodys"}, 404, "driver_not_found"),
            (PATH, {"driver": DRAFT_DRIVER}, 422, "driver_of_other_claim"),
            (PATH, {"driver": DRIVER, "claim": undriven}, 422, "driver_of_other_claim"),
            (PATH, {"claim": driven}, 422, "driver_of_other_claim"),  # two of them: it has to be named
            (PATH, {"driver": DRIVER, "slice_size": 9816}, 422, "slice_invalid"),
            (PATH, {"driver": DRIVER, "slice_size": 2}, 422, "slice_invalid"),
            (DRAFT_PATH, {"slice_size": 9816}, 422, "slice_invalid"),
        ):
            refused(client.post(path, json=body), status, code)
    assert bell.rung == []


def test_each_bad_field_is_named_and_nothing_is_written(client: Api, bell: Bell, database: Database) -> None:
    bad: list[tuple[Json, str]] = [
        ({"slice_size": 0}, "slice_size"),
        ({"slice_size": -1}, "slice_size"),
        ({"slice_size": 10_000_001}, "slice_size"),
        ({"slice_size": 1.5}, "slice_size"),
        ({"slice_size": "5000"}, "slice_size"),
        ({"priority": 10}, "priority"),
        ({"priority": -1}, "priority"),
        ({"priority": None}, "priority"),
        ({"kind": "post"}, "kind"),
        ({"kind": None}, "kind"),
        ({"force": "true"}, "force"),
        ({"claim": "headline"}, "claim"),
        ({"driver": "No Slug"}, "driver"),
        ({"driver": "a" * 81}, "driver"),
        ({"driver": "a\0"}, "driver"),
        ({"state": "succeeded"}, "state"),
    ]
    with unchanged(database):
        for body, name in bad:
            refused(client.post(PATH, json=body), 422, "validation_failed", f"body.{name}")
    assert bell.rung == []


def test_a_waiting_run_is_cancelled_at_once_and_a_running_one_when_its_worker_asks(
    client: Api, database: Database
) -> None:
    waiting, running = (ok(client.post(PATH, json={"force": True}), 202)["id"] for _ in range(2))
    cancelled = client.post(f"/v1/reproductions/{waiting}/cancel")
    for answer in (cancelled, client.post(f"/v1/reproductions/{waiting}/cancel", headers={"If-None-Match": "*"})):
        run = ok(answer)
        assert (run["state"], run["done"], run["cancel_requested"]) == ("cancelled", True, True)
        assert run["finished_at"]
    lease = take(database)
    assert lease.reproduction_id == UUID(running)
    for _ in range(2):
        answer = client.post(f"/v1/reproductions/{running}/cancel")
        run = ok(answer)
        assert (run["state"], run["done"], run["cancel_requested"]) == ("running", False, True)
        assert answer.headers["retry-after"] == "1"
    with database.unit_of_work() as session:
        confirm_cancel(session, lease)
    read = client.get(f"/v1/reproductions/{running}")
    assert (read.json()["state"], "retry-after" in read.headers) == ("cancelled", False)


def test_a_run_that_has_ended_otherwise_is_not_cancelled(client: Api, database: Database) -> None:
    run = ok(client.post(PATH, json={}), 202)
    lease = take(database)
    with database.unit_of_work() as session:
        give_up(session, lease, DriverError("checkpoint_missing", "It is not there."), QUEUE)
    with unchanged(database):
        refused(client.post(f"/v1/reproductions/{run['id']}/cancel"), 409, "reproduction_done")
        refused(client.post(f"/v1/reproductions/{NOBODY}/cancel"), 404, "reproduction_not_found")
        refused(client.post("/v1/reproductions/1/cancel"), 422, "validation_failed", "path.reproduction_id")


def test_a_run_as_it_goes(client: Api, database: Database) -> None:
    run = ok(client.post(DRAFT_PATH, json={}), 202)
    path = f"/v1/reproductions/{run['id']}"
    lease = take(database)
    tags = {client.get(path).headers["etag"]}
    with database.unit_of_work() as session:
        heartbeat(session, lease, Beat(stage="predicting", done=200, total=9815, correct=140), [], QUEUE)
    read = client.get(path)
    tags.add(read.headers["etag"])
    now = ok(read)
    assert (now["state"], now["stage"], now["worker"], now["attempt"]) == ("running", "predicting", "worker-1", 1)
    assert now["queue_position"] is None
    assert now["progress"] == {"done": 200, "total": 9815, "correct": 140}
    low, high = now["estimate"]["interval_95"]
    assert (now["estimate"]["value"], now["estimate"]["method"]) == (0.7, "wilson")
    assert (low, high) == (pytest.approx(0.6332, abs=1e-4), pytest.approx(0.7592, abs=1e-4))
    assert now["heartbeat_at"] >= now["started_at"] >= now["requested_at"]
    with database.unit_of_work() as session:
        give_up(session, lease, DriverError("out_of_memory", "Too large a batch.", retryable=True), QUEUE)
    again = ok(client.get(path))
    assert (again["state"], again["stage"], again["worker"], again["done"]) == ("queued", None, "worker-1", False)
    assert again["error"] == {
        "type": "urn:paper-verdicts:problem:out_of_memory",
        "title": "The run could not measure the claim",
        "detail": "Too large a batch.",
        "code": "out_of_memory",
        "retryable": True,
    }
    tags.add(client.get(path).headers["etag"])
    assert len(tags) == 3


def test_places_in_the_queue(client: Api, database: Database) -> None:
    runs = [ok(client.post(PATH, json={"force": True, "priority": p}), 202)["id"] for p in (5, 5, 0, 9)]
    places = [ok(client.get(f"/v1/reproductions/{run}"))["queue_position"] for run in runs]
    assert places == [2, 3, 1, 4]
    assert take(database).reproduction_id == UUID(runs[2])
    places = [ok(client.get(f"/v1/reproductions/{run}"))["queue_position"] for run in runs]
    assert places == [1, 2, None, 3]


def test_the_list_is_newest_first_and_narrowed_by_its_filters(client: Api, database: Database) -> None:
    one, two = (ok(client.post(PATH, json={"force": True}), 202)["id"] for _ in range(2))
    pre = ok(client.post(PATH, json={"kind": "PRE"}), 202)["id"]
    draft = ok(client.post(DRAFT_PATH, json={}), 202)["id"]
    ok(client.post(f"/v1/papers/{PAPER}/versions", json={}), 201)
    second = ok(client.post(PATH, json={}), 202)["id"]
    ok(client.post(f"/v1/reproductions/{two}/cancel"))
    take(database)
    for query, ids in (
        ("", [second, draft, pre, two, one]),
        (f"paper={PAPER}", [second, pre, two, one]),
        (f"paper={PAPER}v1", [pre, two, one]),
        (f"paper={PAPER}v2", [second]),
        (f"paper={DRAFT}", [draft]),
        ("state=cancelled", [two]),
        ("state=running", [one]),
        ("kind=PRE", [pre]),
        (f"paper={PAPER}&state=queued&kind=POST", [second]),
        ("state=expired", []),
    ):
        assert walk(client, f"/v1/reproductions?limit=2&{query}") == ids, query
    listed = ok(client.get("/v1/reproductions"))["items"]
    assert all(set(ok(client.get(f"/v1/reproductions/{run['id']}"))) - set(run) == {"queue_position"} for run in listed)


def test_bad_filters_are_named(client: Api) -> None:
    for query, status, code, *fields in (
        ("state=done", 422, "validation_failed", "query.state"),
        ("kind=X", 422, "validation_failed", "query.kind"),
        ("limit=1000", 422, "validation_failed", "query.limit"),
        ("paper=x", 422, "paper_id_malformed", "query.paper"),
        ("paper=" + "9" * 1000, 422, "paper_id_malformed", "query.paper"),
        ("paper=%00", 422, "paper_id_malformed", "query.paper"),
        ("paper=2111.09546", 404, "paper_not_found"),
        (f"paper={PAPER}v9", 404, "version_not_found"),
    ):
        refused(client.get(f"/v1/reproductions?{query}"), int(status), str(code), *map(str, fields))
    refused(client.get(f"/v1/reproductions/{NOBODY}"), 404, "reproduction_not_found")
    refused(client.get("/v1/reproductions/1"), 422, "validation_failed", "path.reproduction_id")


def test_without_a_broker_a_run_is_accepted_all_the_same(client: Api, app: FastAPI, database: Database) -> None:
    app.state.doorbell = Doorbell(make_celery("redis://127.0.0.1:1/0"))
    run = ok(client.post(PATH, json={}), 202)
    with database.engine.connect() as connection:
        state = connection.scalar(text("SELECT state FROM reproductions WHERE id = :id"), {"id": run["id"]})
    assert state == "queued"
