"""Where nothing is sent: by form, by address when it is registered, and by address when it is sent."""

import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.core.db import Database
from app.core.outgoing import pinned
from app.core.settings import WebhookSettings
from app.webhooks.errors import WebhookTargetError
from app.webhooks.targets import address_of, parse_target
from tests.events.running import wait_until
from tests.factories.drivers import Subject
from tests.factories.verdicts import issue_verdict
from tests.webhooks.receiver import Receiver
from tests.webhooks.test_webhooks_delivery import deliveries, register, states

STRICT = WebhookSettings()
PUBLIC = "151.101.1.42"
Resolve = Callable[..., None]


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Resolve:
    """Have every name resolve to these addresses; numbers stay what they are."""
    real = socket.getaddrinfo

    def to(*addresses: str) -> None:
        def resolved(host: str, *more: Any, **options: Any) -> Any:  # noqa: ANN401  # the socket module's own
            if not host.endswith(".example"):
                return real(host, *more, **options)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in addresses]

        monkeypatch.setattr("app.core.outgoing.socket.getaddrinfo", resolved)

    to(PUBLIC)
    return to


def check(url: str, settings: WebhookSettings = STRICT) -> str:
    return address_of(parse_target(url, settings), settings)


@pytest.mark.usefixtures("resolve")
@pytest.mark.parametrize("url", ["https://hooks.example/a?b=c", "https://hooks.example:8443/", f"https://{PUBLIC}/x"])
def test_a_public_address_is_taken(url: str) -> None:
    assert check(url) == PUBLIC


@pytest.mark.usefixtures("resolve")
@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/",
        "ftp://hooks.example/",
        "file:///etc/passwd",
        "hooks.example",
        "https://",
        "https:///path",
        "https://user:secret@hooks.example/",
        "https://hooks.example/#part",
        "https://[::1",
        "https://hooks.example:99999/",
        "https://hooks.example:0/",
        "https://[::127.0.0.1]/",
        "https://[fec0::1]/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0/",
        "https://localhost/",
        "https://10.1.2.3/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::a00:1]/",
        "https://[fe80::1]/",
        "https://no-such-host.invalid/",
        f"https://{'a' * 70}.invalid/",
    ],
)
def test_others_are_refused(url: str) -> None:
    with pytest.raises(WebhookTargetError):
        check(url)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "::1", "fc00::1"])
def test_a_name_that_has_any_private_address_is_refused(resolve: Resolve, address: str) -> None:
    for addresses in ([address], [PUBLIC, address]):
        resolve(*addresses)
        with pytest.raises(WebhookTargetError, match="not public"):
            check("https://hooks.example/")


def test_the_connection_goes_to_what_was_checked_under_the_name_that_was_given() -> None:
    url, headers, extensions = pinned(httpx.URL("https://hooks.example:8443/a?b=c"), PUBLIC)
    assert str(url) == f"https://{PUBLIC}:8443/a?b=c"
    assert headers == {"Host": "hooks.example:8443"}
    assert extensions == {"sni_hostname": "hooks.example"}
    url, headers, _ = pinned(httpx.URL("https://hooks.example/"), "2a04:4e42::42")
    assert (str(url), headers) == ("https://[2a04:4e42::42]/", {"Host": "hooks.example"})


@pytest.mark.parametrize("webhooks", [STRICT])
def test_registering_refuses_them(client: httpx.Client, receiver: Receiver) -> None:
    for url in (receiver.url, receiver.url.replace("http:", "https:"), "https://localhost/"):
        refused = client.post("/v1/webhooks", json={"url": url})
        assert (refused.status_code, refused.json()["code"]) == (422, "webhook_target_refused")
    assert client.get("/v1/webhooks").json()["items"] == []


@pytest.mark.parametrize(
    "webhooks", [WebhookSettings(allow_http=True, retries_s=(0.05,), poll_s=0.05)], ids=["no private targets"]
)
def test_a_name_that_leads_inside_by_now_is_not_followed(
    client: httpx.Client, receiver: Receiver, database: Database, subject: Subject, resolve: Resolve
) -> None:
    outside = f"http://hooks.example:{receiver.port}/hook"
    webhook = client.post("/v1/webhooks", json={"url": outside}).json()
    resolve("127.0.0.1")
    issue_verdict(database, subject)
    wait_until(lambda: states(client, webhook) == ["failed"])
    (delivery,) = deliveries(client, webhook)
    assert {one["error"] for one in delivery["attempts"]} == {"target_refused"}
    assert receiver.received == []


def test_what_is_sent_names_its_host(
    client: httpx.Client, receiver: Receiver, database: Database, subject: Subject, resolve: Resolve
) -> None:
    resolve("127.0.0.1")  # which is allowed here
    named = f"http://hooks.example:{receiver.port}/hook"
    register(client, receiver, url=named)
    issue_verdict(database, subject)
    (received,) = receiver.wait_for(1)
    assert received.headers["host"] == f"hooks.example:{receiver.port}"
