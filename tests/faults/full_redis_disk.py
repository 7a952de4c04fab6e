"""(A script) A service whose Valkey logs to a file system of its own, which is filled to the last byte, and emptied.

It runs where `unshare` has made the file system for it alone; the folder above it is its argument. What it saw goes to
standard output as JSON.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from redis import Redis, RedisError, ResponseError

from tests.faults.full_disk import fill
from tests.faults.processes import wait_for
from tests.faults.world import RESCORED, World

DRIVERS = [f"bert-base-mnli-seed0{number}-matched" for number in range(1, 5)]


def main(folder: Path) -> dict[str, Any]:
    """Fill the disk under Valkey, ask for runs and for changes, and make room again."""
    ballast = folder / "valkey" / "ballast"
    with World(folder) as world:
        api, worker = world.api(), world.worker()
        before = world.until(world.ask(DRIVERS[0])).state
        fill(ballast)
        with Redis.from_url(world.redis_url, socket_timeout=30) as redis:
            wait_for("Valkey refuses", lambda: _refusal(redis) == "MISCONF")
            asked = [world.ask(driver) for driver in DRIVERS]
            changed = world.change(RESCORED, venue="nowhere")
            ready = httpx.get(f"{world.base}/readyz", timeout=60).json()
            overdue = world.ask(DRIVERS[0], priority=9)
            with world.connection() as connection:
                connection.execute("UPDATE reproductions SET deadline_at = now() WHERE id = %s", [overdue])
            swept = world.until(overdue).state
            still = _refusal(redis)
            ballast.unlink()
            wait_for("Valkey takes it again", lambda: _refusal(redis) is None)
        ends = [world.until(run_id).state for run_id in asked]
        after = world.change(RESCORED, venue="somewhere")
        world.check()
        return {
            "before": before,
            "seconds": max(order.seconds for order in world.accepted),
            "changed": [changed.status_code, changed.json().get("code")],
            "ready": ready,
            "swept": swept,
            "still": still,
            "ends": ends,
            "after": after.status_code,
            "alive": [api.alive(), worker.alive()],
            "said": sorted({line["event"] for line in api.lines() if line.get("level") == "warning"}),
        }


def _refusal(redis: "Redis") -> str | None:
    """The first word of Valkey's refusal of a write; None where it takes it."""
    try:
        redis.set("written", time.time())
    except ResponseError as error:
        return str(error).split()[0]
    except RedisError as error:
        return type(error).__name__
    return None


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))  # noqa: T201  # the test reads it
