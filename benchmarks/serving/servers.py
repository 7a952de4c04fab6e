"""The servers that are compared: each a process of its own, on one core's worth of work."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import httpx

ROOT = Path(__file__).resolve().parents[2]
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    name: str
    port: int
    path: str
    process: subprocess.Popen[bytes]
    log: IO[bytes]

    def cpu_s(self) -> float:
        """CPU seconds that its processes have used so far."""
        return cpu_s(self.process.pid)


def cpu_s(pid: int) -> float:
    """CPU seconds of a process and of all below it."""
    return sum(_cpu(one) for one in (pid, *_children(pid)))


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def precise_cpu_s(pid: int) -> float:
    """The same of processes with one thread each, to the nanosecond: the kernel's ticks are of ten milliseconds."""
    return sum(_nanoseconds(one) for one in (pid, *_children(pid))) / 1e9


def _nanoseconds(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
    except OSError:
        return 0


def _children(pid: int) -> list[int]:
    try:
        found = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [*found, *(below for one in found for below in _children(one))]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(
    name: str, argv: Sequence[str], port: int, path: str, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """The server, about to start: `ready` waits for it. What it logs goes to a file, as it would anywhere."""
    with TemporaryFile() as log:
        process = subprocess.Popen(
            argv,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'benchmarks'}", **(environment or {})},
            stdout=log,
            stderr=log,
        )
        try:
            yield Server(name, port, path, process, log)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=120)


def ready(server: Server) -> Server:
    """The server, once it answers its path, however long that takes on a busy machine: as long as its process lives."""
    while True:
        with suppress(httpx.TransportError):
            answer = httpx.get(f"http://127.0.0.1:{server.port}{server.path}", timeout=60)
            if answer.status_code < httpx.codes.BAD_REQUEST:
                return server
        if server.process.poll() is not None:
            server.log.seek(0)
            message = f"{server.name} ended: {server.log.read()[-2000:].decode(errors='replace')}"
            raise RuntimeError(message)
        time.sleep(0.2)


def uvicorn(factory: str, port: int) -> list[str]:
    """The command that serves a factory on uvicorn as it comes, with the product's own options."""
    options = ["--no-access-log", "--no-proxy-headers", "--ws", "none", "--log-level", "critical"]
    return [sys.executable, "-m", "uvicorn", "--factory", factory, "--port", str(port), *options]


def ours(factory: str, port: int) -> list[str]:
    """The command that serves a factory of `serving.apps` on the product's protocol."""
    return [sys.executable, "-m", "serving.run", factory, str(port)]


def api(port: int) -> list[str]:
    """The product's own command."""
    return [sys.executable, "-m", "app.cli", "api", "--port", str(port)]
