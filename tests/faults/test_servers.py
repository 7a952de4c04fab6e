"""Servers that die, hang or forget under a running service: requests are answered, and nothing accepted is lost."""

import signal
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from uuid import UUID

import httpx
import pytest
from redis import Redis
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from tests.faults.holds import ASKING, held, wait_until_held
from tests.faults.processes import wait_for
from tests.faults.world import RESCORED, World

pytestmark = [pytest.mark.worker, pytest.mark.timeout(900)]

OTHERS = [f"bert-base-mnli-seed0{number}-matched" for number in range(1, 5)]
LONG_LEASE = {"VERDICTS_QUEUE__LEASE_S": "60"}


def test_redis_killed_and_emptied_costs_time_alone(world: World) -> None:
    worker = world.worker()
    assert world.until(world.ask(OTHERS[0])).state.value == "succeeded"
    worker.send(signal.SIGSTOP)
    asked = [world.ask(driver) for driver in OTHERS]
    with Redis.from_url(world.redis_url) as client:
        client.flushall()
    world.kill_server("valkey")
    asked.append(world.ask(OTHERS[0]))  # accepted while it is away
    worker.send(signal.SIGCONT)
    assert [world.until(run_id).state.value for run_id in asked] == ["succeeded"] * 5
    # The same API and worker ring and hear as before.
    assert world.until(world.ask(OTHERS[1])).state.value == "succeeded"
    assert worker.alive()


def test_a_worker_that_starts_while_redis_is_away_serves_when_it_is_back(world: World) -> None:
    with world.standing_still(world.server_pid("valkey")):
        run_id = world.ask(OTHERS[0])
        worker = world.start_worker()
        wait_for("the worker has begun", lambda: bool(worker.lines()))
    assert world.until(run_id).state.value == "succeeded"


def test_postgres_killed_in_a_run_costs_no_attempt(world: World) -> None:
    worker = world.worker(**LONG_LEASE)
    run_id = world.ask_minilm(400)
    world.until_predicted(run_id)
    killed = world.server_pid("postgres")
    world.kill_server("postgres")
    refused = world.post(RESCORED, driver=OTHERS[0])
    wait_for("Postgres is back", lambda: world.server_pid("postgres") != killed and _answers(world))
    assert refused.status_code in {HTTPStatus.ACCEPTED, HTTPStatus.SERVICE_UNAVAILABLE}
    run = world.until(run_id)
    assert (run.state.value, run.fence, run.error) == ("succeeded", 1, None)
    assert worker.alive()
    assert world.until(world.ask(OTHERS[0])).state.value == "succeeded"


def _answers(world: World) -> bool:
    try:
        world.database.ping()
    except OperationalError:
        return False
    return True


def test_a_bell_that_is_heard_while_postgres_is_away_is_not_wasted(world: World) -> None:
    worker = world.worker(**LONG_LEASE)
    with world.standing_still(worker.pid):
        asked = [world.ask(driver) for driver in OTHERS]
        world.kill_server("postgres")
    assert [world.until(run_id).state.value for run_id in asked] == ["succeeded"] * 4
    assert worker.alive()


def test_an_api_killed_between_commit_and_doorbell_has_accepted_the_run(world: World) -> None:
    api, before = world.api(), _runs(world)
    with ThreadPoolExecutor(1) as client, world.connection() as connection:
        with held(connection, ASKING):
            answer = client.submit(world.post, RESCORED, driver=OTHERS[2], force=True)
            wait_until_held(connection, ASKING)
            api.stop()  # it has said COMMIT, and will never hear what became of it
        wait_for("the run is committed", lambda: len(_runs(world)) == len(before) + 1)
        api.kill()
        with pytest.raises(httpx.HTTPError):
            answer.result()
    world.worker()
    (accepted,) = _runs(world) - before
    run = world.until(accepted)
    assert (run.state.value, run.spec["slug"]) == ("succeeded", OTHERS[2])


def test_an_api_that_is_told_to_stop_answers_what_it_was_asked(world: World) -> None:
    api = world.api()
    with ThreadPoolExecutor(1) as client, world.connection() as connection:
        with held(connection, ASKING):
            answer = client.submit(world.post, RESCORED, driver=OTHERS[3], force=True)
            wait_until_held(connection, ASKING)
            api.send(signal.SIGTERM)
            wait_for("it takes no more", lambda: not _takes_more(world))
        accepted = answer.result()
    assert accepted.status_code == HTTPStatus.ACCEPTED
    wait_for("the API has left", lambda: not api.alive())
    assert UUID(accepted.json()["id"]) in _runs(world)


def _takes_more(world: World) -> bool:
    try:
        httpx.get(f"{world.base}/healthz", timeout=30)
    except httpx.HTTPError:
        return False
    return True


def _runs(world: World) -> set[UUID]:
    with world.database.unit_of_work() as session:
        return set(session.scalars(text("SELECT id FROM reproductions")))
