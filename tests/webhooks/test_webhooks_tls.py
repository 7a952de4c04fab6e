"""Webhooks over real TLS: whom a message is sent to, and that nobody else gets a byte of it."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.core.db import Database
from app.core.settings import WebhookSettings
from app.webhooks.courier import trusted
from tests.events.running import wait_until
from tests.factories.drivers import Subject
from tests.factories.verdicts import issue_verdict
from tests.webhooks.certificates import Authority
from tests.webhooks.conftest import QUICK
from tests.webhooks.receiver import Receiver, receiving
from tests.webhooks.test_webhooks_delivery import Json, deliveries, register, states

NAME = "hooks.example"
Lookups = list[str]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def webhooks(authority: Authority) -> WebhookSettings:
    return QUICK.model_copy(update={"allow_http": False, "retries_s": (), "ca_file": authority.trusted})


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch) -> Lookups:
    """What the name leads to at each look-up of it; the last one stays. Numbers stay what they are."""
    real = socket.getaddrinfo
    to = ["127.0.0.1"]

    def resolved(host: str, port: int, *more: Any, **options: Any) -> Any:  # noqa: ANN401  # the socket module's own
        if host != NAME:
            return real(host, port, *more, **options)
        address = to.pop(0) if len(to) > 1 else to[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr("app.core.outgoing.socket.getaddrinfo", resolved)
    return to


@pytest.fixture
def tell(client: httpx.Client, database: Database, subject: Subject, lookups: Lookups) -> Callable[[Receiver], Json]:
    """Have a verdict told to the receiver by its name; what came of it."""
    assert lookups

    def told(receiver: Receiver) -> Json:
        webhook = register(client, receiver, url=f"https://{NAME}:{receiver.port}/hook", events=["verdict.issued"])
        issue_verdict(database, subject)
        wait_until(lambda: states(client, webhook) in (["delivered"], ["failed"]))
        (delivery,) = deliveries(client, webhook)
        return {**delivery, "secret": webhook["secret"]}

    return told


def test_a_receiver_with_a_certificate_of_its_name_is_told(
    authority: Authority, tell: Callable[[Receiver], Json]
) -> None:
    with receiving(authority.server(NAME)) as receiver:
        told = tell(receiver)
    assert told["state"] == "delivered"
    assert receiver.names == [NAME]  # the connection goes to an address, under the name
    (received,) = receiver.received
    assert received.headers["host"] == f"{NAME}:{receiver.port}"
    assert receiver.verified(told["secret"])


@pytest.mark.parametrize("why", ["another name", "its address alone", "a wildcard of others", "expired", "untrusted"])
def test_a_receiver_that_cannot_show_that_it_is_the_one_hears_nothing(
    authority: Authority, tell: Callable[[Receiver], Json], tmp_path: Path, why: str
) -> None:
    tls = {
        "another name": lambda: authority.server("other.example"),
        "its address alone": lambda: authority.server("127.0.0.1"),
        "a wildcard of others": lambda: authority.server("*.hooks.example"),
        "expired": lambda: authority.server(NAME, ended=True),
        "untrusted": lambda: Authority(tmp_path, "somebody").server(NAME),
    }[why]()
    with receiving(tls) as receiver:
        told = tell(receiver)
    assert (told["state"], [one["error"] for one in told["attempts"]]) == ("failed", ["unreachable"])
    assert receiver.names == [NAME]
    assert receiver.received == []


def test_a_receiver_without_tls_hears_nothing(tell: Callable[[Receiver], Json]) -> None:
    with receiving() as receiver:
        told = tell(receiver)
    assert told["state"] == "failed"
    assert receiver.received == []


def test_a_name_that_changes_its_mind_is_looked_up_once_for_each_attempt(
    authority: Authority, tell: Callable[[Receiver], Json], lookups: Lookups
) -> None:
    """DNS rebinding: whatever the name leads to after the check, the connection goes to what was checked."""
    with (
        receiving(authority.server(NAME)) as outside,
        receiving(authority.server(NAME), address="127.0.0.2", port=outside.port) as inside,
    ):
        lookups[:] = ["127.0.0.1", "127.0.0.1", "127.0.0.2"]  # at the registration, at the attempt, ever after
        told = tell(outside)
    assert told["state"] == "delivered"
    assert len(outside.received) == 1
    assert (inside.received, inside.names) == ([], [])
    assert lookups == ["127.0.0.2"]  # nobody has asked again


def test_by_default_only_public_authorities_count(authority: Authority) -> None:
    with receiving(authority.server("127.0.0.1")) as receiver, pytest.raises(httpx.ConnectError, match="CERTIFICATE"):
        httpx.post(f"https://127.0.0.1:{receiver.port}/", verify=trusted(None))
    with receiving(authority.server("127.0.0.1")) as receiver:
        httpx.post(f"https://127.0.0.1:{receiver.port}/", verify=trusted(authority.trusted)).raise_for_status()
