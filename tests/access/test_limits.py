"""Limits: so many changes a minute of a key and of an address, so many requests of an address, with the headers."""

import re
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from app.access.address import client_address, limited_as
from app.access.local import LocalLimiter
from app.access.scopes import Scope
from app.access.tally import Tally
from app.core.db import Database
from app.core.peers import Peer, Peers
from app.core.settings import AccessSettings, Settings
from tests.access.helpers import service, with_key
from tests.api.helpers import DRIVER, PAPER, Api, claim_body, ok, paper_body, refused, unchanged
from tests.core.forwarder import Forwarder
from tests.factories.keys import make_key

PAPER_PATH = f"/v1/papers/{PAPER}"


# --- in the process


def test_so_many_pass_at_once_and_then_one_each_interval() -> None:
    limiter = LocalLimiter(60)
    assert [limiter.wait_s("a", 1000.0) for _ in range(60)] == [0.0] * 60
    assert limiter.stands("a", 1000.0)[0] == 0
    assert limiter.wait_s("a", 1000.0) == pytest.approx(1.0)
    assert limiter.wait_s("a", 1000.5) == pytest.approx(0.5)  # who was refused waits no longer for having asked
    assert limiter.wait_s("a", 1001.0) == 0.0
    assert limiter.wait_s("a", 1001.0) > 0
    assert limiter.wait_s("b", 1001.0) == 0.0
    assert limiter.stands("b", 1001.0)[0] == 59
    assert limiter.stands("a", 2000.0)[0] == 60


def test_no_limit_is_none() -> None:
    limiter = LocalLimiter(0)
    assert {limiter.wait_s("a", 1.0) for _ in range(10_000)} == {0.0}


@given(st.integers(1, 500), st.lists(st.floats(0, 30), max_size=200))
def test_no_minute_sees_more_than_twice_the_limit_and_a_patient_caller_is_never_refused(
    per_minute: int, gaps: list[float]
) -> None:
    limiter, now, passed = LocalLimiter(per_minute), 0.0, []
    for gap in gaps:
        now += gap
        wait = limiter.wait_s("a", now)
        if wait:
            now += wait
            assert limiter.wait_s("a", now + 1e-6) == 0.0
        passed.append(now)
    for start in passed:
        assert sum(start <= one < start + 60 for one in passed) <= 2 * per_minute


def test_callers_are_forgotten_once_they_have_nothing_to_wait_for() -> None:
    limiter = LocalLimiter(60, most_callers=10)
    for i in range(1000):
        assert limiter.wait_s(str(i), float(i)) == 0.0
    assert len(limiter._free_at) <= 10
    for i in range(1000):  # more at once than it remembers: nobody is refused who did nothing
        assert limiter.wait_s(f"n{i}", 2000.0) == 0.0
    assert len(limiter._free_at) <= 10


def test_portions_are_taken_from_the_same_count() -> None:
    limiter = LocalLimiter(60)
    assert limiter.take("a", 1000.0, 50) == 50
    assert limiter.stands("a", 1000.0)[0] == 10
    assert limiter.wait_s("a", 1000.0) == 0.0
    assert limiter.take("a", 1000.0, 50) == 9
    assert limiter.take("a", 1000.0, 50) == 0
    assert limiter.wait_s("a", 1000.0) == pytest.approx(1.0)
    assert limiter.take("a", 1003.0, 50) == 3
    assert limiter.take("b", 1003.0, 99) == 60


# --- answered from memory


@pytest.mark.parametrize("per_minute", [1, 7, 60, 1000, 60_000])
def test_what_memory_answers_is_counted_in_portions_to_the_same_limit(per_minute: int) -> None:
    limiter = LocalLimiter(per_minute)
    tally, peers = Tally(limiter, ()), Peers()
    passed = sum(tally.passes(peers.of(("1.2.3.4", port)), (), 1000.0) for port in range(per_minute + 50))
    assert passed == per_minute
    assert limiter.wait_s("1.2.3.4", 1000.0) > 0  # whatever way it comes
    assert tally.passes(peers.of(("1.2.3.5", 1)), (), 1000.0)
    assert not tally.passes(peers.of(("1.2.3.4", 1)), (), 1000.0)
    assert tally.passes(peers.of(("1.2.3.4", 1)), (), 1000.0 + 60 / per_minute)


def test_what_memory_answers_is_counted_against_whom_the_proxy_names() -> None:
    tally = Tally(LocalLimiter(1), AccessSettings(trusted_proxies="10.0.0.0/8").networks)
    proxy = Peers().of(("10.0.0.1", 1))
    for address in (b"1.2.3.4", b"1.2.3.5", b"2001:db8:1:2::3"):
        headers = [(b"x-forwarded-for", address)]
        assert [tally.passes(proxy, headers, 1000.0) for _ in range(2)] == [True, False]
    assert not tally.passes(proxy, [(b"x-forwarded-for", b"2001:db8:1:2:ffff::1")], 1000.0)
    assert [tally.passes(Peers().of(None), (), 1000.0) for _ in range(2)] == [True, False]


def test_no_limit_is_none_for_what_memory_answers() -> None:
    tally = Tally(LocalLimiter(0), ())
    assert all(tally.passes(Peer("1.2.3.4"), (), 1000.0) for _ in range(1000))


def test_a_proxy_is_counted_nothing_ahead() -> None:
    tally = Tally(LocalLimiter(6000), AccessSettings(trusted_proxies="10.0.0.0/8").networks)
    proxy = Peer("10.0.0.1")
    assert tally.passes(proxy, (), 1000.0)
    assert proxy.counted == 0


def test_addresses_are_forgotten_where_there_are_many() -> None:
    peers = Peers()
    for number in range(70_000):
        assert peers.of((str(number), 1)).host == str(number)
    assert len(peers) <= 65_536


# --- whose address it is


def scope_of(peer: str | None, *forwarded: str) -> dict[str, Any]:
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    return {"client": (peer, 1) if peer else None, "headers": headers}


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "address"),
    [
        ("1.2.3.4", [], "", "1.2.3.4"),
        ("1.2.3.4", ["5.6.7.8"], "", "1.2.3.4"),
        ("127.0.0.1", ["5.6.7.8"], "", "127.0.0.1"),
        ("1.2.3.4", ["5.6.7.8"], "10.0.0.0/8", "1.2.3.4"),
        ("10.0.0.1", ["5.6.7.8"], "10.0.0.0/8", "5.6.7.8"),
        ("10.0.0.1", [], "10.0.0.0/8", "10.0.0.1"),
        ("10.0.0.1", ["9.9.9.9, 5.6.7.8"], "10.0.0.0/8", "5.6.7.8"),
        ("10.0.0.1", ["9.9.9.9, 5.6.7.8, 10.0.0.2"], "10.0.0.0/8", "5.6.7.8"),
        ("10.0.0.1", ["9.9.9.9", "5.6.7.8"], "10.0.0.0/8", "5.6.7.8"),
        ("10.0.0.1", ["5.6.7.8, nonsense"], "10.0.0.0/8", "10.0.0.1"),
        ("10.0.0.1", ["nonsense, 10.0.0.3"], "10.0.0.0/8", "10.0.0.3"),
        ("10.0.0.1", ["é"], "10.0.0.0/8", "10.0.0.1"),
        ("::1", ["2001:db8::7"], "127.0.0.1, ::1/128", "2001:db8::7"),
        (None, ["5.6.7.8"], "10.0.0.0/8", "local"),
        ("testclient", ["5.6.7.8"], "10.0.0.0/8", "testclient"),
    ],
)
def test_only_a_trusted_proxy_says_whose_request_it_is(
    peer: str | None, forwarded: list[str], trusted: str, address: str
) -> None:
    networks = AccessSettings(trusted_proxies=trusted).networks
    assert client_address(scope_of(peer, *forwarded), networks) == address


def test_trusted_proxies_have_to_be_networks() -> None:
    with pytest.raises(ValueError, match="trusted_proxies"):
        AccessSettings(trusted_proxies="10.0.0.0/8, proxy.example")


def test_ipv6_is_counted_by_its_64() -> None:
    assert limited_as("2001:db8:1:2:3::4") == limited_as("2001:db8:1:2:ffff::1") != limited_as("2001:db8:1:3::4")
    assert limited_as("1.2.3.4") == "1.2.3.4"
    assert limited_as("local") == "local"


# --- over HTTP


def fields(header: str) -> dict[str, dict[str, int]]:
    """A list of structured fields: the quoted names with their parameters."""
    found = {}
    for item in header.split(", "):
        match = re.fullmatch(r'"(\w+)"((?:;[a-z]=\d+)+)', item)
        assert match, header
        found[match[1]] = {part[0]: int(part[2:]) for part in match[2].strip(";").split(";")}
    return found


@pytest.mark.usefixtures("api")
def test_a_key_may_change_so_much_a_minute(database: Database, settings: Settings) -> None:
    key, other = (make_key(database, Scope.curate) for _ in range(2))
    with service(settings, writes_per_minute=3) as client:
        for left in (2, 1, 0):
            answer = with_key(client, key, "PATCH", PAPER_PATH, json={"venue": f"venue {left}"})
            assert answer.status_code == 200
            assert fields(answer.headers["ratelimit-policy"])["key"] == {"q": 3, "w": 60}
            stands = fields(answer.headers["ratelimit"])["key"]
            assert stands["r"] == left
            assert 1 <= stands["t"] <= 120
        with unchanged(database):
            answer = with_key(client, key, "PATCH", PAPER_PATH, json={"venue": "one more"})
            refused(answer, 429, "rate_limited")
            seconds = int(answer.headers["retry-after"])
            assert 1 <= seconds <= 120
            assert fields(answer.headers["ratelimit-policy"]) == {"key": {"q": 3, "w": 60}}
            assert fields(answer.headers["ratelimit"]) == {"key": {"r": 0, "t": seconds}}
        assert ok(client.get(PAPER_PATH))["paper"]["venue"] == "venue 0"
        assert with_key(client, other, "PATCH", PAPER_PATH, json={"venue": "mine"}).status_code == 200


@pytest.mark.usefixtures("api")
def test_an_address_may_change_so_much_whatever_its_keys(database: Database, settings: Settings) -> None:
    keys = [make_key(database, Scope.curate) for _ in range(3)]
    with service(settings, writes_per_minute_address=2) as client:
        for key in keys[:2]:
            answer = with_key(client, key, "PATCH", PAPER_PATH, json={"venue": key.prefix})
            assert answer.status_code == 200
            assert fields(answer.headers["ratelimit-policy"])["address"] == {"q": 2, "w": 60}
        refused(with_key(client, keys[2], "PATCH", PAPER_PATH, json={"venue": "x"}), 429, "rate_limited")


def test_the_headers_are_on_refusals_too(api: Api, database: Database, settings: Settings) -> None:
    key = make_key(database, Scope.curate)
    with service(settings, writes_per_minute=5) as client:
        for path, body, status in (
            (PAPER_PATH, {"title": None}, 422),
            ("/v1/papers/2101.00001", {"venue": "x"}, 404),
        ):
            answer = with_key(client, key, "PATCH", path, json=body)
            assert answer.status_code == status
            assert fields(answer.headers["ratelimit"])["key"]["r"] < 5
    assert "ratelimit" not in api.get("/v1/papers").headers  # there is no limit


@pytest.mark.parametrize("reads", ["public", "keys"])
def test_reads_say_how_their_address_stands(api: Api, database: Database, settings: Settings, reads: str) -> None:
    del api
    key = make_key(database)
    asked: list[tuple[str, str, Any]] = [
        ("GET", "/v1/papers", None),
        ("GET", "/v1/papers", key),
        ("HEAD", "/v1/papers", key),
        ("GET", PAPER_PATH, None),
        ("GET", "/v1/audit", None),
        ("GET", "/v1/audit", key),
        ("HEAD", "/v1/audit", key),
        ("POST", "/v1/papers:batchGet", None),
        ("GET", "/", None),
    ]
    if reads == "public":  # where keys are asked for, nobody counts it: it is no address at all
        asked.append(("GET", f"{PAPER_PATH}/nothing", None))
    with service(settings, requests_per_minute=12, reads=reads) as client:
        start = time.monotonic()
        for number, (method, path, signed) in enumerate(asked, 1):
            body = {"ids": [PAPER]} if method == "POST" else None
            token = [("Authorization", f"Bearer {signed.key}")] if signed else []
            answer = super(Api, client).send(client.build_request(method, path, json=body, headers=token))
            (policy,) = answer.headers.get_list("ratelimit-policy")
            (stands,) = answer.headers.get_list("ratelimit")
            assert fields(policy) == {"address": {"q": 12, "w": 60}}
            left = fields(stands)["address"]
            came_back = (time.monotonic() - start) / 5  # one in 5 s, and what is told is whole requests
            assert 12 - number <= left["r"] <= 12 - number + came_back
            assert 5 * (11 - left["r"]) <= left["t"] <= 5 * (12 - left["r"])


@pytest.mark.usefixtures("api")
def test_the_count_is_one_for_all_processes(database: Database, settings: Settings) -> None:
    key = make_key(database, Scope.curate)
    with service(settings, writes_per_minute=2) as one, service(settings, writes_per_minute=2) as other:
        for client in (one, other):
            assert with_key(client, key, "PATCH", PAPER_PATH, json={"venue": "x"}).status_code == 200
        for client in (one, other):
            refused(with_key(client, key, "PATCH", PAPER_PATH, json={"venue": "y"}), 429, "rate_limited")


@pytest.mark.usefixtures("api")
def test_requests_of_an_address_are_counted_on_every_way(settings: Settings) -> None:
    with service(settings, requests_per_minute=4) as client:
        for path in (PAPER_PATH, PAPER_PATH, "/v1/papers", "/v1/drivers"):
            ok(client.get(path))
        for path in (PAPER_PATH, "/v1/papers", "/v1/verdicts"):
            answer = client.get(path)
            refused(answer, 429, "rate_limited")
            assert fields(answer.headers["ratelimit"]) == {"address": {"r": 0, "t": int(answer.headers["retry-after"])}}
        refused(client.put(PAPER_PATH, json=paper_body()), 429, "rate_limited")
        ok(client.get("/healthz"))


@pytest.mark.usefixtures("api")
def test_what_memory_answers_is_counted_too(settings: Settings) -> None:
    with service(settings, requests_per_minute=30) as client:
        lane: Any = client.app.lane  # type: ignore[attr-defined]  # the application is ours
        peer = Peer("9.9.9.9")

        async def in_loop() -> bool:
            return lane.at_once(PAPER_PATH.encode(), [(b"host", b"h")], peer, time.monotonic()) is not None

        def answered() -> bool:
            portal: Any = client.portal
            return bool(portal.call(in_loop))

        deadline = time.monotonic() + 60
        while not answered():  # the listener has no lease yet
            assert time.monotonic() < deadline
            ok(client.get(PAPER_PATH, headers={"Accept-Encoding": "identity", "Connection": "close"}))
            time.sleep(0.1)
        assert [answered() for _ in range(40)] == [True] * 29 + [False] * 11
        assert client.app.state.gate.requests.wait_s("9.9.9.9", time.monotonic()) > 0  # type: ignore[attr-defined]  # as above


def test_wrong_keys_are_counted_too(settings: Settings) -> None:
    with service(settings, requests_per_minute=3) as client:
        for _ in range(3):
            refused(client.put(PAPER_PATH, json=paper_body()), 401, "key_invalid")
        refused(client.put(PAPER_PATH, json=paper_body()), 429, "rate_limited")


# --- Redis is away


@pytest.mark.usefixtures("catalogue")
def test_without_redis_reads_go_on_changes_do_not_and_runs_are_still_accepted(
    client: Api, database: Database, settings: Settings
) -> None:
    key = make_key(database)
    away = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    with service(away, writes_per_minute=3) as without:
        assert ok(without.get(PAPER_PATH)) == ok(client.get(PAPER_PATH))
        for path in ("/v1/papers", "/v1/drivers", f"{PAPER_PATH}/claims"):
            ok(without.get(path))
        with unchanged(database):
            for method, path, body in (
                ("PUT", PAPER_PATH, paper_body()),
                ("PATCH", PAPER_PATH, {"venue": "x"}),
                ("POST", f"{PAPER_PATH}/claims", claim_body(row="other")),
            ):
                answer = with_key(without, key, method, path, json=body)
                refused(answer, 503, "rate_limits_unavailable")
                assert int(answer.headers["retry-after"]) >= 1
            refused(without.put(PAPER_PATH, json=paper_body()), 401, "key_invalid")
        for left in (2, 1, 0):
            body = {"driver": DRIVER, "force": True}
            answer = with_key(without, key, "POST", f"{PAPER_PATH}/reproductions", json=body)
            ok(answer, 202)
            stands = fields(answer.headers["ratelimit"])["key"]
            assert stands["r"] == left
            assert 20 * (2 - left) < stands["t"] <= 20 * (3 - left)  # one in 20 s
        answer = with_key(without, key, "POST", f"{PAPER_PATH}/reproductions", json={})
        refused(answer, 429, "rate_limited")
        assert 1 <= int(answer.headers["retry-after"]) <= 20


@pytest.mark.usefixtures("api")
def test_when_redis_comes_back_changes_do_too(database: Database, settings: Settings) -> None:
    key = make_key(database)
    url = urlsplit(settings.redis_url or "")
    target = (url.hostname or "", url.port or 0)
    with Forwarder(0, target) as first:
        port = first._open[0].getsockname()[1]
        netloc = f"{url.netloc.rpartition('@')[0]}@127.0.0.1:{port}"
        through = settings.model_copy(update={"redis_url": url._replace(netloc=netloc).geturl()})
        with service(through) as client:
            assert with_key(client, key, "PATCH", PAPER_PATH, json={"venue": "one"}).status_code == 200
            first.__exit__(None, None, None)
            answer = with_key(client, key, "PATCH", PAPER_PATH, json={"venue": "two"})
            refused(answer, 503, "rate_limits_unavailable")
            with Forwarder(port, target):
                deadline = time.monotonic() + 60
                while with_key(client, key, "PATCH", PAPER_PATH, json={"venue": "three"}).status_code != 200:
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
    with database.engine.connect() as connection:
        assert connection.scalar(text("SELECT venue FROM papers")) == "three"
