"""Stopping loses nothing: Ctrl-C, a kill in the middle of a run, and starting again."""

import signal
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from tests.end_to_end.conftest import PATIENCE_S, Service, leftovers, start

pytestmark = [pytest.mark.worker, pytest.mark.timeout(1200)]

SIZE = 2500
"""Examples: more than a worker that is asked to stop has time for."""
MINILM = "/v1/papers/draft:minilm-l6-nli-adapter"


def begin_run(service: Service, size: int) -> str:
    """Ask for a run and return its path once it has predictions."""
    body = {"driver": "minilm-mnli-full", "kind": "PRE", "slice_size": size}
    path = service.post(f"{MINILM}/reproductions", body).headers["location"]
    while not (run := httpx.get(service.base + path).json())["progress"]["done"]:
        assert not run["done"], run
        time.sleep(0.05)
    return path


def gone(data_dir: Path) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while leftovers(data_dir):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def test_ctrl_c_in_a_run_leaves_nothing_running_and_the_run_goes_on_at_the_next_start() -> None:
    with TemporaryDirectory(prefix="verdicts-e2e-") as folder:
        data_dir = Path(folder) / "data"
        first = start(data_dir)
        path = begin_run(first, SIZE)
        assert first.stop(signal.SIGINT) == 0
        assert gone(data_dir), leftovers(data_dir)

        second = start(data_dir)
        resumed = httpx.get(second.base + path).json()
        assert resumed["progress"]["done"] > 0
        run = second.until(path, "done")
        assert run["state"] == "succeeded"
        assert run["progress"] == {"done": SIZE, "total": SIZE, "correct": run["progress"]["correct"]}
        verdict = httpx.get(f"{second.base}/v1/verdicts/{run['verdict_id']}").json()
        assert verdict["score"] == run["progress"]["correct"] / SIZE
        assert second.stop(signal.SIGTERM) == 0
        assert gone(data_dir), leftovers(data_dir)


def test_killing_everything_in_a_run_loses_nothing_and_leaves_nothing_running() -> None:
    short_lease = {"VERDICTS_QUEUE__LEASE_S": "3"}  # so that the test need not wait for half a minute
    with TemporaryDirectory(prefix="verdicts-e2e-") as folder:
        data_dir = Path(folder) / "data"
        first = start(data_dir, settings=short_lease)
        path = begin_run(first, SIZE)
        first.process.kill()
        first.process.wait()
        assert gone(data_dir), leftovers(data_dir)
        second = start(data_dir, settings=short_lease)
        run = second.until(path, "done")
        # The worker's own guard asks it to stop. Where Postgres is not quite gone by then, it hands the run back.
        assert (run["state"], run["attempt"] in {1, 2}) == ("succeeded", True)
        assert second.stop() == 0
