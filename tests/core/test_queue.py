"""The doorbell: a message by task name with a short fuse, and never an error."""

import json
import socket
import time
from collections.abc import Iterator

import pytest
import structlog
from redis import Redis
from sqlalchemy import make_url

from app.core.queue import QUEUE, REPRODUCE, Doorbell, make_celery
from tests.core.forwarder import Forwarder
from tests.factories.ports import free_port


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that refuses connections: it is taken, but nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        yield silent.getsockname()[1]


def test_the_bell_is_a_message_for_the_task_with_the_runs_id_alone(redis_url: str) -> None:
    doorbell = Doorbell(make_celery(redis_url))
    assert doorbell.ring("0190a0b0-0000-7000-8000-000000000000")
    doorbell.close()
    with Redis.from_url(redis_url) as client:
        messages = [json.loads(body) for body in client.lrange(QUEUE, 0, -1)]
    assert [message["headers"]["task"] for message in messages] == [REPRODUCE]
    assert messages[0]["headers"]["argsrepr"] == "['0190a0b0-0000-7000-8000-000000000000']"
    assert (messages[0]["headers"]["eta"], messages[0]["headers"]["expires"]) == (None, None)


def test_nothing_but_the_queue_is_written(redis_url: str) -> None:
    doorbell = Doorbell(make_celery(redis_url))
    for _ in range(3):
        doorbell.ring("a")
    doorbell.close()
    with Redis.from_url(redis_url, decode_responses=True) as client:
        assert client.llen(QUEUE) == 3
        assert {key for key in client.scan_iter() if not key.startswith("_kombu")} == {QUEUE}


def test_a_broker_that_is_down_costs_nothing_and_raises_nothing(closed_port: int) -> None:
    doorbell = Doorbell(make_celery(f"redis://127.0.0.1:{closed_port}/0"))
    started = time.monotonic()
    with structlog.testing.capture_logs() as logs:
        assert [doorbell.ring(str(number)) for number in range(5)] == [False] * 5
    assert time.monotonic() - started < 30
    assert [log["event"] for log in logs] == ["doorbell_failed"] * 5
    doorbell.close()


def test_a_broker_that_says_nothing_is_given_up_after_its_time_out(silent_port: int) -> None:
    celery = make_celery(f"redis://127.0.0.1:{silent_port}/0")
    options = celery.conf.broker_transport_options
    assert (options["socket_timeout"], options["socket_connect_timeout"]) == (5, 1)
    celery.conf.broker_transport_options = {**options, "socket_timeout": 0.3}
    doorbell = Doorbell(celery)
    started = time.monotonic()
    assert doorbell.ring("a") is False
    assert time.monotonic() - started < 30
    doorbell.close()


def test_a_broker_that_comes_back_is_rung_again(redis_url: str) -> None:
    valkey = make_url(redis_url)
    port = free_port()
    url = valkey.set(port=port).render_as_string(hide_password=False)
    doorbell = Doorbell(make_celery(url, patience_s=60))
    target = (valkey.host or "", valkey.port or 0)
    assert doorbell.ring("before it is up") is False
    for name in ("first", "second"):
        with Forwarder(port, target):
            assert doorbell.ring(name) is True
        assert doorbell.ring(f"after the {name}") is False
    doorbell.close()
    with Redis.from_url(redis_url) as client:
        bodies = [json.loads(body)["headers"]["argsrepr"] for body in client.lrange(QUEUE, 0, -1)]
    assert sorted(bodies) == ["['first']", "['second']"]


def test_the_settings_that_the_promise_rests_on() -> None:
    conf = make_celery("redis://127.0.0.1:1/0").conf
    assert conf.result_backend is None
    assert (conf.task_ignore_result, conf.task_publish_retry) == (True, False)
    assert (conf.task_acks_late, conf.task_reject_on_worker_lost, conf.worker_prefetch_multiplier) == (True, True, 1)
    options = conf.broker_transport_options
    assert (options["unacked_restore_interval"], options["unacked_mutex_expire"]) == (5, 15)
    assert options["visibility_timeout"] >= 24 * 3600
