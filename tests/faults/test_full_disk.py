"""A disk that is really full: Postgres on a small file system, made for one process by a mount namespace of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.processes import ROOT
from tests.faults.world import without_ours

pytestmark = [pytest.mark.worker, pytest.mark.timeout(900)]

MOUNTED = 'mount -t tmpfs -o size={size} tmpfs "$1" && shift && exec "$@"'
"""A shell's words: make the folder that comes first a file system of this size, and run the rest."""


def on_small_disk(folder: Path, size: str, *command: str) -> list[str]:
    """The command, where the folder is a file system of its own; nobody else sees it, and it goes with the command."""
    rights = "-m" if os.geteuid() == 0 else "-rm"
    return ["unshare", rights, "sh", "-c", MOUNTED.format(size=size), "sh", str(folder), *command]


def may_mount(folder: Path) -> bool:
    try:
        done = subprocess.run(on_small_disk(folder, "1m", "true"), capture_output=True, check=False)
    except OSError:  # no such program
        return False
    return done.returncode == 0


def run_on_small_disk(script: str, mounted: Path, size: str, folder: Path) -> dict[str, Any]:
    """What a script of this room saw, where a folder is a file system of its own of this size."""
    if not may_mount(mounted):
        pytest.skip(
            "the kernel grants no mount namespace here; tests/faults/test_workers.py has Postgres's error alone"
        )
    argv = on_small_disk(mounted, size, sys.executable, str(Path(__file__).with_name(script)), str(folder))
    environment = {**without_ours(), "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen


def test_a_full_disk_costs_time_and_nothing_that_was_accepted(tmp_path: Path) -> None:
    seen = run_on_small_disk("full_disk.py", tmp_path, "160m", tmp_path)
    assert seen["refusal"] == "53100"  # disk_full
    state, stored = seen["meanwhile"]
    assert (state in {"queued", "running"}, stored < 9815) == (True, True)  # refused at its taking, or at its results
    assert set(seen["errors"]) <= {"OperationalError", "DiskFull"}
    assert seen["run"] == ["succeeded", 1, None, 9815]
    assert (seen["predictions"], seen["verdicts"]) == (9815, 1)


def test_a_full_disk_under_redis_costs_its_messages_and_nothing_that_was_accepted(tmp_path: Path) -> None:
    of_valkey = tmp_path / "valkey"
    of_valkey.mkdir()
    seen = run_on_small_disk("full_redis_disk.py", of_valkey, "4m", tmp_path)
    assert seen["still"] == "MISCONF"
    assert seen["changed"] == [503, "rate_limits_unavailable"]
    assert seen["ready"] == {
        "status": "ok",
        "checks": {"database": "ok", "migrations": "ok", "redis": "refuses: MISCONF"},
    }
    assert (seen["before"], seen["swept"]) == ("succeeded", "expired")  # the sweep needs no Redis
    assert "doorbell_failed" in seen["said"]
    assert seen["ends"] == ["succeeded"] * 4
    assert seen["after"] == 200
    assert seen["alive"] == [True, True]  # Celery ends a worker of such a refusal; ours tries again
