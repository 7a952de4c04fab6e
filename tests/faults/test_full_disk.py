"""A disk that is really full: Postgres on a small file system, made for one process by a mount namespace of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

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


def test_a_full_disk_costs_time_and_nothing_that_was_accepted(tmp_path: Path) -> None:
    if not may_mount(tmp_path):
        pytest.skip(
            "the kernel grants no mount namespace here; tests/faults/test_workers.py has Postgres's error alone"
        )
    script = [sys.executable, str(Path(__file__).with_name("full_disk.py")), str(tmp_path)]
    environment = {**without_ours(), "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        on_small_disk(tmp_path, "160m", *script), capture_output=True, text=True, check=False, env=environment, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["refusal"] == "53100"  # disk_full
    state, stored = seen["meanwhile"]
    assert (state in {"queued", "running"}, stored < 9815) == (True, True)  # refused at its taking, or at its results
    assert set(seen["errors"]) <= {"OperationalError", "DiskFull"}
    assert seen["run"] == ["succeeded", 1, None, 9815]
    assert (seen["predictions"], seen["verdicts"]) == (9815, 1)
