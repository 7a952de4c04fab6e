"""`verdicts up` as a user starts it: real servers, real worker, real model, one supervised process tree."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest

from tests.docs.blocks import block
from tests.factories.clone import installed_clone
from tests.factories.ports import free_port

PATIENCE_S = 120.0
"""A bound, not an expectation: how long a stop may take on a machine that is busy with other things."""

START_S = 600.0
"""As above: for a start that measures all that it can, a model on 9,815 examples among it."""


@dataclass
class Service:
    """A running `verdicts up`."""

    process: subprocess.Popen[str]
    base: str
    data_dir: Path
    output: Path

    @cached_property
    def key(self) -> str:
        """A key that an operator made at the command line."""
        return self.cli("keys", "create", "--name", "the tests", "--scope", "reproduce").stdout.strip()

    def post(self, path: str, body: object = None) -> httpx.Response:
        """Ask for a change, with the key."""
        return httpx.post(self.base + path, json=body, headers={"Authorization": f"Bearer {self.key}"}, timeout=60)

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `verdicts ARGUMENTS` against this service."""
        return subprocess.run(
            [sys.executable, "-m", "app.cli", *arguments, "--data-dir", str(self.data_dir)],
            capture_output=True,
            text=True,
            check=False,
            env=environment(),
        )

    def stop(self, number: int = signal.SIGINT) -> int:
        """Ask it to stop; returns its exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=PATIENCE_S)

    def until(self, path: str, done: str, seconds: float = 300) -> dict[str, Any]:
        """Poll a resource until its field `done` is true."""
        deadline = time.monotonic() + seconds
        while True:
            answer: dict[str, Any] = httpx.get(self.base + path).raise_for_status().json()
            if answer[done]:
                return answer
            assert time.monotonic() < deadline, answer
            time.sleep(0.2)


def environment(settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """The present one with these settings of ours and no others."""
    return {name: value for name, value in os.environ.items() if not name.startswith("VERDICTS_")} | dict(
        settings or {}
    )


def start(
    data_dir: Path, *command: str, settings: Mapping[str, str] | None = None, folder: Path | None = None
) -> Service:
    """Start `verdicts up`, or the command that ends in it; returns once it says where it runs."""
    port = free_port()
    output = data_dir.parent / f"{data_dir.name}.out"
    argv = [*(command or (sys.executable, "-m", "app.cli", "up")), "--port", str(port)]
    with output.open("w") as out:
        process = subprocess.Popen(
            argv,
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            env=environment(settings) | {"VERDICTS_DATA_DIR": str(data_dir)},
            start_new_session=True,
        )
    deadline = time.monotonic() + START_S
    while "Ctrl-C stops everything" not in output.read_text():
        assert process.poll() is None, output.read_text()
        assert time.monotonic() < deadline, output.read_text()
        time.sleep(0.1)
    return Service(process, f"http://127.0.0.1:{port}", data_dir, output)


def leftovers(data_dir: Path) -> list[str]:
    """The command lines of processes that still mention the data folder."""
    return list(processes(data_dir).values())


def processes(data_dir: Path) -> dict[int, str]:
    """The processes that mention the data folder, by their command lines."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            variables = (entry / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if int(entry.name) != os.getpid() and (str(data_dir) in line or f"VERDICTS_DATA_DIR={data_dir}\0" in variables):
            found[int(entry.name)] = line
    return found


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="verdicts-e2e-") as made:
        yield Path(made)


@pytest.fixture(scope="module")
def service(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for the tests of a module: what the README and the quick start have a newcomer type, in a clone."""
    typed = block("README.md", "deploy/up.sh").code
    assert typed == block("docs/quick-start.md", "deploy/up.sh").code
    clone = installed_clone(tmp_path_factory)
    running = start(folder / "data", "bash", "-c", f'{typed.strip()} "$@"', "sh", folder=clone)
    yield running
    if running.process.poll() is None:
        running.process.send_signal(signal.SIGINT)
        running.process.wait(timeout=PATIENCE_S)
