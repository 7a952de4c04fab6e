"""Workers that are killed, stopped, starved or told to leave: whatever they held is brought to its end, once."""

import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest

from tests.faults.holds import MORE_PREDICTIONS, PREDICTIONS, TAKING, VERDICT, disk_full, held, wait_until_held
from tests.faults.processes import PATIENCE_S, ROOT, Process, virtual_memory, wait_for
from tests.faults.world import World, without_ours

pytestmark = [pytest.mark.worker, pytest.mark.timeout(900)]

RESCORING = "bert-base-mnli-seed01-matched"
IN_BATCHES = 400
"""Examples that take the model some batches, and a second or two."""
LONG_LEASE = {"VERDICTS_QUEUE__LEASE_S": "60"}
"""For tests in which nobody may take a run away, however slow the machine is."""


@pytest.fixture
def connection(world: World) -> Iterator[psycopg.Connection]:
    with world.connection() as connection:
        yield connection


# --- killed


def killed_before_it_takes_anything(world: World, _: psycopg.Connection) -> UUID:
    worker = world.worker()
    worker.send(signal.SIGSTOP)
    run_id = world.ask(RESCORING)
    worker.kill()
    return run_id


def killed_at(place: str) -> Callable[[World, psycopg.Connection], UUID]:
    def kill(world: World, connection: psycopg.Connection) -> UUID:
        worker = world.worker()
        with held(connection, place):
            run_id = world.ask(RESCORING)
            wait_until_held(connection, place)
            worker.kill()
        return run_id

    return kill


def killed_while_loading(world: World, _: psycopg.Connection) -> UUID:
    worker = world.worker()
    run_id = world.ask_minilm(60)
    world.until(run_id, "running")
    worker.kill()
    return run_id


KILLS: dict[str, Callable[[World, psycopg.Connection], UUID]] = {  # in inference: test_crash_equality.py
    "before taking": killed_before_it_takes_anything,
    "while taking": killed_at(TAKING),
    "loading": killed_while_loading,
    "storing predictions": killed_at(PREDICTIONS),
    "between verdict and commit": killed_at(VERDICT),
}


@pytest.mark.parametrize("stage", KILLS)
def test_a_killed_workers_run_is_brought_to_its_end_by_another(
    stage: str, world: World, connection: psycopg.Connection
) -> None:
    run_id = KILLS[stage](world, connection)
    world.worker("another")
    run = world.until(run_id)
    assert (run.state.value, run.error) == ("succeeded", None)
    taken = 1 if stage in {"before taking", "while taking"} else 2
    assert run.fence >= taken
    assert run.progress_done == run.progress_total


def test_a_run_that_kills_its_workers_ends_and_the_others_go_on(world: World, connection: psycopg.Connection) -> None:
    with held(connection, PREDICTIONS):
        run_id = world.ask(RESCORING, priority=0)
        connection.execute("UPDATE reproductions SET max_attempts = 2 WHERE id = %s", [run_id])
        for _ in range(2):
            worker = world.worker("victim")
            wait_until_held(connection, PREDICTIONS)
            worker.kill()
            # The API sweeps, too: nobody else is needed to take the lease back.
            world.until(run_id, "queued", "failed")
    run = world.run(run_id)
    assert (run.state.value, run.attempt, run.fence) == ("failed", 2, 2)
    assert run.error is not None
    assert run.error["code"] == "worker_lost"
    world.worker()
    assert world.until(world.ask(RESCORING)).state.value == "succeeded"


# --- hung


def test_a_worker_that_wakes_after_its_lease_changes_nothing(world: World, connection: psycopg.Connection) -> None:
    hung = world.worker("hung")
    with held(connection, MORE_PREDICTIONS):
        run_id = world.ask_minilm(IN_BATCHES)
        wait_until_held(connection, MORE_PREDICTIONS)
        hung.send(signal.SIGSTOP)
    world.worker("another")
    ended = world.until(run_id)
    assert (ended.state.value, ended.fence >= 2) == ("succeeded", True)
    hung.send(signal.SIGCONT)
    wait_for("the late worker hears of it", lambda: bool(hung.said("lease_lost")))
    assert world.run(run_id).finished_at == ended.finished_at


def test_a_worker_that_hangs_between_verdict_and_commit_holds_up_nobody(
    world: World, connection: psycopg.Connection
) -> None:
    """It holds the paper's row and the run's: the database ends its transaction, and another worker does the run."""
    hung = world.worker("hung")
    with held(connection, VERDICT):
        run_id = world.ask(RESCORING)
        wait_until_held(connection, VERDICT)
        hung.send(signal.SIGSTOP)
    waiting = world.ask("bert-base-mnli-seed02-matched")
    world.worker("another")
    assert [world.until(one).state.value for one in (waiting, run_id)] == ["succeeded"] * 2
    ended = world.run(run_id)
    assert ended.fence >= 2
    hung.send(signal.SIGCONT)
    wait_for("the late worker hears of it", lambda: bool(hung.said("lease_lost")))
    assert world.run(run_id).finished_at == ended.finished_at


def test_a_worker_without_a_run_is_missed_when_it_falls_silent(world: World) -> None:
    def shown(**wanted: int) -> None:
        wait_for(f"the metrics show {wanted}", lambda: {name: _workers(world)[name] for name in wanted} == wanted)

    worker = world.worker()
    shown(idle=1, silent=0)  # those that earlier tests killed are replaced
    worker.send(signal.SIGSTOP)
    shown(idle=0, silent=1)
    worker.send(signal.SIGCONT)
    shown(idle=1, silent=0)
    worker.send(signal.SIGTERM)
    shown(idle=0, silent=0)


def _workers(world: World) -> dict[str, int]:
    """How many workers there are by what they do, as Prometheus is told."""
    name = 'paper_verdicts_workers{state="'
    lines = httpx.get(f"{world.base}/metrics", timeout=PATIENCE_S).text.splitlines()
    found = (line.removeprefix(name).split('"} ') for line in lines if line.startswith(name))
    return {state: int(float(number)) for state, number in found}


# --- rung for too often


def test_duplicate_and_reordered_bells_do_no_harm(world: World) -> None:
    asked = [world.ask(f"bert-base-mnli-seed0{number}-matched", priority=9 - number) for number in range(1, 5)]
    for run_id in reversed(asked):
        world.ring(run_id, 5)
    workers = [world.worker(f"worker-{number}", **LONG_LEASE) for number in range(2)]
    runs = [world.until(run_id) for run_id in asked]
    assert [(run.state.value, run.fence) for run in runs] == [("succeeded", 1)] * 4
    wait_for("both have said so", lambda: len(_issued(workers)) == len(runs))
    assert {line["reproduction_id"]: line["request_id"] for line in _issued(workers)} == {
        str(run.id): run.request_id for run in runs
    }
    assert all(line["verdict_id"] for line in _issued(workers))


def _issued(workers: list[Process]) -> list[dict[str, Any]]:
    return [line for worker in workers for line in worker.said("verdict_issued")]


# --- asked to stop


def test_a_worker_that_is_told_to_stop_finishes_a_short_run(world: World) -> None:
    worker = world.worker(**LONG_LEASE, VERDICTS_QUEUE__SHUTDOWN_S="120")
    run_id = world.ask_minilm(IN_BATCHES)
    world.until_predicted(run_id)
    worker.send(signal.SIGTERM)
    wait_for("the worker has left", lambda: not worker.alive(), 2 * PATIENCE_S)
    run = world.run(run_id)
    assert (run.state.value, run.fence) == ("succeeded", 1)


def test_a_worker_that_is_told_to_stop_hands_back_a_long_run(world: World) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "worker", "--device", "cpu"],  # as an operator starts it
        cwd=ROOT,
        env={**without_ours(), **world.environment, **LONG_LEASE, "VERDICTS_QUEUE__SHUTDOWN_S": "0.1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        run_id = world.ask_minilm(2500)
        world.until_predicted(run_id)
        worker.terminate()
        assert worker.wait(2 * PATIENCE_S) == 0
    finally:
        worker.kill()
        worker.wait()
    run = world.run(run_id)
    assert (run.state.value, run.attempt, run.fence, run.worker is not None) == ("queued", 0, 1, True)
    assert 0 < run.progress_done < 2500
    world.cancel(run_id)


def told_to_stop_while_loading(world: World, worker: Process, _: psycopg.Connection) -> UUID:
    run_id = world.ask_minilm(60)
    world.until(run_id, "running")
    worker.send(signal.SIGTERM)
    return run_id


def told_to_stop_at(place: str) -> Callable[[World, Process, psycopg.Connection], UUID]:
    def stop(world: World, worker: Process, connection: psycopg.Connection) -> UUID:
        with held(connection, place):
            run_id = world.ask(RESCORING)
            wait_until_held(connection, place)
            worker.send(signal.SIGTERM)
        return run_id

    return stop


STOPS: dict[str, Callable[[World, Process, psycopg.Connection], UUID]] = {
    "while taking": told_to_stop_at(TAKING),
    "loading": told_to_stop_while_loading,
    "storing predictions": told_to_stop_at(PREDICTIONS),
    "between verdict and commit": told_to_stop_at(VERDICT),
}


@pytest.mark.parametrize("stage", STOPS)
def test_a_worker_told_to_stop_at_any_stage_costs_its_run_no_attempt(
    stage: str, world: World, connection: psycopg.Connection
) -> None:
    worker = world.worker(**LONG_LEASE)
    run_id = STOPS[stage](world, worker, connection)
    wait_for("the worker has left", lambda: not worker.alive())
    left = world.run(run_id)
    assert (left.state.value, left.attempt) in {("queued", 0), ("succeeded", 1)}
    if stage == "between verdict and commit":
        assert left.state.value == "succeeded"
    world.worker("another")
    run = world.until(run_id)
    assert (run.state.value, run.attempt, run.error) == ("succeeded", 1, None)


# --- starved


def test_a_run_that_does_not_fit_in_memory_ends_or_gets_by_with_less(
    world: World, connection: psycopg.Connection
) -> None:
    worker = world.worker(**LONG_LEASE)
    run_id = world.ask_minilm(IN_BATCHES)
    connection.execute("UPDATE reproductions SET max_attempts = 2 WHERE id = %s", [run_id])
    world.until_predicted(run_id)
    size = virtual_memory(worker.pid)
    resource.prlimit(worker.pid, resource.RLIMIT_AS, (size, size))
    run = world.until(run_id)
    assert worker.alive()
    if run.state.value == "failed":
        assert run.error is not None
        assert (run.error["retryable"], run.attempt) == (True, 2)
    else:
        assert (run.state.value, run.progress_done) == ("succeeded", IN_BATCHES)


def test_a_full_disk_delays_runs_and_their_results_come_when_there_is_room(
    world: World, connection: psycopg.Connection
) -> None:
    worker = world.worker()
    with disk_full(connection):
        run_id = world.ask(RESCORING)
        wait_for("a heartbeat is refused", lambda: bool(worker.said("heartbeat_failed") + worker.said("database_away")))
        assert not world.run(run_id).state.done
    assert world.until(run_id).state.value == "succeeded"
    assert worker.alive()


def test_a_disk_that_stays_full_fails_the_run_in_the_end(world: World, connection: psycopg.Connection) -> None:
    with disk_full(connection):
        run_id = world.ask(RESCORING)
        connection.execute("UPDATE reproductions SET max_attempts = 2 WHERE id = %s", [run_id])
        world.worker()
        run = world.until(run_id)
        assert (run.state.value, run.attempt) == ("failed", 2)
        assert run.error is not None
        assert run.error["code"] in {"results_not_stored", "worker_lost"}
    assert world.until(world.ask(RESCORING)).state.value == "succeeded"


# --- clocks that disagree


def test_hosts_whose_clocks_disagree_do_not_take_runs_from_each_other(world: World, tmp_path: Path) -> None:
    ahead, behind = (_skewed_worker(world, tmp_path, hours) for hours in (2, -2))
    try:
        asked = [world.ask(RESCORING, kind=kind) for kind in ("PRE", "POST") * 4]
        runs = [world.until(run_id) for run_id in asked]
        assert [(run.state.value, run.fence) for run in runs] == [("succeeded", 1)] * len(runs)
        with world.connection() as connection:
            query = "SELECT max(abs(extract(epoch FROM now() - computed_at))) FROM verdicts"
            off = connection.execute(query).fetchone()
        assert off is not None
        assert off[0] < 3600
    finally:
        for worker in (ahead, behind):
            worker.kill()
            worker.wait()


def _skewed_worker(world: World, folder: Path, hours: int) -> subprocess.Popen[bytes]:
    """A worker on a host whose clock is off by so many hours, as far as Python can tell."""
    hook = folder / str(hours)
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(_SKEW.format(seconds=3600 * hours))
    environment = {**without_ours(), **world.environment, **LONG_LEASE, "PYTHONPATH": f"{hook}:{ROOT}"}
    argv = [sys.executable, "-m", "app.cli", "worker", "--device", "cpu"]
    return subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


_SKEW = """
import builtins, datetime, sys, time

_time, _time_ns, _import = time.time, time.time_ns, builtins.__import__
time.time = lambda: _time() + {seconds}
time.time_ns = lambda: _time_ns() + {seconds} * 10**9


def skewed_import(*args, **options):
    module = _import(*args, **options)
    clock = sys.modules.get("app.core.clock")
    if hasattr(clock, "now") and not hasattr(clock, "true_now"):
        clock.true_now = clock.now
        clock.now = lambda: clock.true_now() + datetime.timedelta(seconds={seconds})
    return module


builtins.__import__ = skewed_import
"""
