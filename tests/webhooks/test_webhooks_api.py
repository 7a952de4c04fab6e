"""Whose webhooks they are, and what is shown of them."""

from collections.abc import Callable
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from app.core.db import Database
from app.models import AuditEntry
from tests.api.helpers import NOBODY
from tests.webhooks.conftest import QUICK
from tests.webhooks.receiver import Receiver
from tests.webhooks.test_webhooks_delivery import register

Clients = Callable[..., httpx.Client]


def test_a_key_manages_its_own_and_an_administrator_all(client_of: Clients, receiver: Receiver) -> None:
    mine, theirs, admin = client_of("read"), client_of("reproduce"), client_of("admin")
    webhook = register(mine, receiver, description="Mine.")
    other = register(theirs, receiver)
    assert [one["id"] for one in mine.get("/v1/webhooks").json()["items"]] == [webhook["id"]]
    assert [one["id"] for one in admin.get("/v1/webhooks").json()["items"]] == [other["id"], webhook["id"]]
    path = f"/v1/webhooks/{webhook['id']}"
    calls = [("GET", path), ("DELETE", path), ("GET", f"{path}/deliveries"), ("POST", f"{path}/rotate")]
    calls += [("POST", f"{path}/enable"), ("POST", f"{path}/deliveries/{NOBODY}/replay")]
    for method, address in calls:
        refused = theirs.request(method, address)
        assert (refused.status_code, refused.json()["code"]) == (404, "webhook_not_found")
    again = theirs.post(f"{path}/replay", json={"since": "2020-01-01T00:00:00Z"})
    assert again.status_code == 404
    missing = mine.post(f"{path}/deliveries/{NOBODY}/replay")
    assert (missing.status_code, missing.json()["code"]) == (404, "delivery_not_found")
    assert admin.delete(path).json()["id"] == webhook["id"]
    assert mine.get(path).status_code == 404
    assert httpx.get(f"{mine.base_url}/v1/webhooks").status_code == 401


def test_the_secret_is_shown_once(client: httpx.Client, receiver: Receiver) -> None:
    webhook = register(client, receiver)
    assert webhook["secret"].startswith("whsec_")
    shown = client.get(f"/v1/webhooks/{webhook['id']}")
    assert shown.json() == {name: value for name, value in webhook.items() if name != "secret"}
    assert webhook["secret"] not in client.get("/v1/webhooks").text
    assert (
        client.get(f"/v1/webhooks/{webhook['id']}", headers={"If-None-Match": shown.headers["etag"]}).status_code == 304
    )


def test_if_match_holds_a_removal_to_the_state_its_author_saw(client: httpx.Client, receiver: Receiver) -> None:
    path = f"/v1/webhooks/{register(client, receiver)['id']}"
    seen = client.get(path).headers["etag"]
    for header in ('"x"', f"W/{seen}"):
        refused = client.delete(path, headers={"If-Match": header})
        assert (refused.status_code, refused.json()["code"]) == (412, "precondition_failed")
    assert client.get(path).status_code == 200
    assert client.delete(path, headers={"If-Match": seen}).status_code == 200
    assert client.get(path).status_code == 404


def test_a_repeated_registration_is_one(client: httpx.Client, receiver: Receiver) -> None:
    body, headers = {"url": receiver.url}, {"Idempotency-Key": "once"}
    first, second = (client.post("/v1/webhooks", json=body, headers=headers) for _ in range(2))
    assert first.json() == second.json()
    assert first.headers["location"] == f"/v1/webhooks/{first.json()['id']}"
    assert len(client.get("/v1/webhooks").json()["items"]) == 1


@pytest.mark.parametrize("webhooks", [QUICK.model_copy(update={"most_of_owner": 2})])
def test_a_key_has_so_many_at_most(client_of: Clients, receiver: Receiver) -> None:
    client = client_of("read")
    for _ in range(2):
        register(client, receiver)
    refused = client.post("/v1/webhooks", json={"url": receiver.url})
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_webhooks")
    register(client_of("read"), receiver)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": ""},
        {"url": "https://example.org/ü"},
        {"url": "https://example.org/", "events": []},
        {"url": "https://example.org/", "events": ["reproduction.progress"]},
        {"url": "https://example.org/", "secret": "mine"},
    ],
)
def test_a_body_that_makes_no_sense_is_refused(client: httpx.Client, body: object) -> None:
    assert client.post("/v1/webhooks", json=body).json()["code"] == "validation_failed"


def test_pages(client: httpx.Client, receiver: Receiver) -> None:
    made = [register(client, receiver)["id"] for _ in range(3)]
    page = client.get("/v1/webhooks?limit=2")
    rest = client.get(page.headers["link"].partition(">")[0].removeprefix("<"))
    assert [one["id"] for one in page.json()["items"] + rest.json()["items"]] == made[::-1]


def test_changes_are_in_the_audit_log_without_secrets(
    client: httpx.Client, receiver: Receiver, database: Database
) -> None:
    webhook = register(client, receiver)
    path = f"/v1/webhooks/{webhook['id']}"
    rotated = client.post(f"{path}/rotate").json()
    client.post(f"{path}/replay", json={"since": "2020-01-01T00:00:00Z"})
    client.delete(path)
    with database.unit_of_work() as session:
        entries = session.scalars(
            select(AuditEntry).where(AuditEntry.subject == f"webhooks/{UUID(webhook['id'])}").order_by(AuditEntry.id)
        ).all()
    actions = ["registered", "secret_rotated", "replayed", "removed"]
    assert [entry.action for entry in entries] == [f"webhook.{action}" for action in actions]
    assert all(
        secret not in str([entry.changes for entry in entries]) for secret in (webhook["secret"], rotated["secret"])
    )
