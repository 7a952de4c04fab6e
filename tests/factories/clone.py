"""A copy of this working tree with `.venv` as deploy/setup.sh makes it: a newcomer's clone."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

_ROOT: Final = Path(__file__).resolve().parents[2]


def installed_clone(factory: pytest.TempPathFactory) -> Path:
    """The folder of the copy. Made once for all processes of a run of the tests: installing takes seconds."""
    mine = factory.getbasetemp()
    shared = mine.parent if "PYTEST_XDIST_WORKER" in os.environ else mine
    with (shared / "clone.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (clone := shared / "clone").is_dir():
            making = shared / "clone.making"
            shutil.rmtree(making, ignore_errors=True)
            _copy(making)
            making.rename(clone)
        subprocess.run(["deploy/setup.sh", "embedded,worker"], cwd=clone, env=_environment(), check=True)
    return clone


def _copy(folder: Path) -> None:
    """What git has, or would take: a change that is not committed yet is tested, too."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in {one for one in listed.stdout.split("\0") if one}:
        if (source := _ROOT / name).exists():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)


def _environment() -> dict[str, str]:
    """Nothing of the environment that these tests run in."""
    return {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH"}}
