"""The audit log: who changed what, in the transaction of the change, for ever, for administrators to read."""

from typing import Any

import pytest
from httpx2 import Response

from app.access.actor import Actor, act_as
from app.access.audit import record
from app.access.keys import revoke_key
from app.access.scopes import Scope
from app.core.db import Database
from app.core.settings import QueueSettings, Settings
from app.papers import endpoints
from app.reproductions.lease import Beat, heartbeat, take_run
from app.verdicts.conclude import conclude_run
from tests.access.helpers import service, with_key
from tests.api.helpers import DRIVER, PAPER, Api, claim_body, counts_body, ok, paper_body, refused, unchanged, walk
from tests.factories.keys import make_key

PATH = f"/v1/papers/{PAPER}"
OTHER = "/v1/papers/2101.00001"


def log(client: Api, **query: Any) -> list[dict[str, Any]]:  # noqa: ANN401  # parameters of the query
    items: list[dict[str, Any]] = ok(client.get("/v1/audit", params={"limit": 200, **query}))["items"]
    return items


@pytest.mark.usefixtures("catalogue")
def test_every_change_is_recorded_with_who_made_it_and_how(client: Api, database: Database) -> None:
    key = make_key(database, name="the curator")
    made: dict[str, Response] = {}

    def change(operation: str, method: str, path: str, body: object = None) -> dict[str, Any]:
        before = {entry["id"] for entry in log(client)}
        made[operation] = with_key(client, key, method, path, json=body)
        assert made[operation].status_code < 300, made[operation].text
        new = [one for one in log(client) if one["id"] not in before]
        # A paper that is registered gets its first version with it.
        (entry,) = new if len(new) == 1 else [one for one in new if one["action"] != "version.added"]
        assert entry["operation"] == operation
        assert (entry["actor"], entry["key_id"]) == (f"key:{key.prefix}", str(key.id))
        assert (entry["key_name"], entry["address"]) == ("the curator", "testclient")
        assert entry["request_id"] == made[operation].headers["x-request-id"]
        return entry

    put = change("putPaper", "PUT", OTHER, paper_body())
    assert (put["action"], put["subject"]) == ("paper.registered", "papers/2101.00001")
    tag = made["putPaper"].headers["etag"]
    patch = change("patchPaper", "PATCH", OTHER, {"venue": "ACL", "title": "Another", "withdrawn": False})
    assert (patch["action"], patch["subject"]) == ("paper.changed", "papers/2101.00001")
    assert patch["changes"] == {
        "venue": [None, "ACL"],
        "title": ["A title", "Another"],
        "etag": [tag, made["patchPaper"].headers["etag"]],
    }
    claim = change("registerClaim", "POST", f"{PATH}/claims", claim_body(row="New"))
    assert (claim["action"], claim["subject"]) == ("claim.registered", f"claims/{made['registerClaim'].json()['id']}")
    version = change("addVersion", "POST", f"{PATH}/versions", {})
    assert (version["action"], version["subject"]) == ("version.added", f"papers/{PAPER}/versions/2")
    verdict = change("postVerdict", "POST", f"{PATH}/verdicts", counts_body())
    assert (verdict["action"], verdict["subject"]) == (
        "verdict.issued",
        f"verdicts/{made['postVerdict'].json()['id']}",
    )
    assert verdict["changes"]["status"] == "reproduced"
    run = change("requestReproduction", "POST", f"{PATH}/reproductions", {"driver": DRIVER})
    subject = f"reproductions/{made['requestReproduction'].json()['id']}"
    assert (run["action"], run["subject"]) == ("reproduction.requested", subject)
    cancel = change("cancelReproduction", "POST", f"/v1/{subject}/cancel")
    assert (cancel["action"], cancel["subject"]) == ("reproduction.cancelled", subject)
    assert [entry["action"] for entry in log(client, subject=subject)] == [
        "reproduction.cancelled",
        "reproduction.requested",
    ]


def test_what_changes_nothing_leaves_no_trace(api: Api, database: Database) -> None:
    ok(api.patch(PATH, json={"venue": "ACL"}))
    ok(api.post(f"{PATH}/versions", json={}, headers={"Idempotency-Key": "1"}), 201)
    before = log(api)
    ok(api.patch(PATH, json={"venue": "ACL"}))
    ok(api.post(f"{PATH}/versions", json={}, headers={"Idempotency-Key": "1"}), 201)
    refused(api.patch(PATH, json={"title": None}), 422, "validation_failed")
    refused(with_key(api, make_key(database, Scope.read), "PATCH", PATH, json={"venue": "x"}), 403, "scope_missing")
    assert [entry for entry in log(api) if entry["action"] != "key.created"] == [
        entry for entry in before if entry["action"] != "key.created"
    ]


def test_the_entry_and_the_change_are_one_transaction(
    api: Api, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(endpoints, "version_read", broken)  # after the version has been added and recorded
    with unchanged(database):
        refused(api.post(f"{PATH}/versions", json={}), 500, "internal_error")


@pytest.mark.usefixtures("catalogue")
def test_a_workers_verdict_names_the_worker(client: Api, database: Database) -> None:
    run = ok(client.post(f"{PATH}/reproductions", json={"slice_size": 3}), 202)
    rows = [{"row": i, "item_id": str(i), "gold": i, "predicted": i, "logits": None} for i in range(3)]
    with database.unit_of_work() as session:
        lease = take_run(session, "worker-1", QueueSettings())
        assert lease is not None
        heartbeat(session, lease, Beat(stage="predicting", done=3, total=3, correct=3), rows, QueueSettings())
    with database.unit_of_work() as session:
        act_as(session, Actor(name="worker:worker-1", operation="reproduce"))
        facts = {"data": {"label_counts": [3479, 3123, 3213]}, "slice": {"size": 3}}
        verdict = conclude_run(session, lease, facts)
    (entry, *_) = log(client)
    assert (entry["actor"], entry["operation"]) == ("worker:worker-1", "reproduce")
    assert (entry["action"], entry["subject"]) == ("verdict.issued", f"verdicts/{verdict.id}")
    assert ok(client.get(f"/v1/reproductions/{run['id']}"))["verdict_id"] == str(verdict.id)


def test_making_and_revoking_keys_is_recorded_without_their_secrets(client: Api, database: Database) -> None:
    key = make_key(database, Scope.read, name="for a moment")
    with database.unit_of_work() as session:
        for _ in range(2):
            revoke_key(session, key.prefix)
    entries = log(client, subject=f"keys/{key.prefix}")
    assert [entry["action"] for entry in entries] == ["key.revoked", "key.created"]
    assert entries[1]["changes"] == {"name": "for a moment", "scopes": ["read"]}
    assert key.key.split(".")[1] not in str(entries)


def test_the_log_comes_in_pages_and_is_for_administrators(client: Api, database: Database) -> None:
    with database.unit_of_work() as session:
        for i in range(25):
            record(session, "test.done", f"tests/{i}", {"long": "x" * 1000, "n": i, "list": [None, 1.5, "é"]})
    subjects = walk(client, "/v1/audit?limit=7", key="subject")
    assert subjects[:25] == [f"tests/{i}" for i in reversed(range(25))]
    entry = log(client)[0]
    assert (entry["actor"], entry["operation"]) == ("service", "none")
    assert (len(entry["changes"]["long"]), entry["changes"]["list"]) == (200, [None, 1.5, "é"])
    answer = client.get("/v1/audit")
    assert "public" not in answer.headers["cache-control"]
    assert "access-control-allow-origin" not in answer.headers
    for scope in set(Scope) - {Scope.admin}:
        refused(with_key(client, make_key(database, scope), "GET", "/v1/audit"), 403, "scope_missing")
    refused(client.get("/v1/audit?cursor=x"), 400, "cursor_invalid")


@pytest.mark.usefixtures("catalogue")
def test_a_run_remembers_its_key_and_another_cannot_cancel_it(client: Api, database: Database) -> None:
    mine, other = make_key(database, Scope.reproduce), make_key(database, Scope.reproduce)
    run = ok(with_key(client, mine, "POST", f"{PATH}/reproductions", json={"driver": DRIVER}), 202)
    cancel = f"/v1/reproductions/{run['id']}/cancel"
    same = ok(with_key(client, other, "POST", f"{PATH}/reproductions", json={"driver": DRIVER}), 202)
    assert same["id"] == run["id"]
    with unchanged(database):
        refused(with_key(client, other, "POST", cancel), 403, "not_requester")
    assert ok(with_key(client, mine, "POST", cancel))["state"] == "cancelled"


@pytest.mark.usefixtures("catalogue")
def test_a_quota_over_http(database: Database, settings: Settings) -> None:
    key = make_key(database, Scope.reproduce)
    body = {"driver": DRIVER, "force": True}
    with service(settings, quota_runs=1) as limited:
        ok(with_key(limited, key, "POST", f"{PATH}/reproductions", json=body), 202)
        with unchanged(database):
            headers = {"Idempotency-Key": "refused"}
            answer = with_key(limited, key, "POST", f"{PATH}/reproductions", json=body, headers=headers)
            refused(answer, 429, "quota_exceeded")
            assert int(answer.headers["retry-after"]) > 0
