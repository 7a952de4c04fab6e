"""The servers that are compared: each a process of its own, on one core's worth of work."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import TypeAlias

import httpx

ROOT = Path(__file__).resolve().parents[2]
_TICKS = os.sysconf("SC_CLK_TCK")
Command: TypeAlias = Callable[[int], list[str]]
"""The command that serves on a port."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    name: str
    port: int
    path: str
    process: subprocess.Popen[bytes]

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
            yield Server(name, port, path, process)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def ready(server: Server) -> Server:
    """The server, once it answers its path."""
    deadline = time.monotonic() + 300
    while True:
        try:
            if httpx.get(f"http://127.0.0.1:{server.port}{server.path}").status_code < httpx.codes.BAD_REQUEST:
                return server
        except httpx.TransportError:
            pass
        if server.process.poll() is not None or time.monotonic() > deadline:
            message = f"{server.name} does not answer on {server.path}"
            raise RuntimeError(message)
        time.sleep(0.1)


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


def nginx(folder: Path, body: bytes) -> Command | None:
    """Nginx with the body as a file, one worker; None where it is not installed."""
    program = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if program is None:
        return None
    (folder / "www").mkdir()
    (folder / "www" / "document.json").write_bytes(body)
    configuration = folder / "nginx.conf"
    text = f"""
        {"user root;" if os.geteuid() == 0 else ""}
        worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
        events {{ worker_connections 1024; }}
        http {{
            access_log off; types {{ application/json json; }} keepalive_requests 100000000; open_file_cache max=10;
            client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
            uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
            server {{ listen 127.0.0.1:PORT; root {folder}/www; }}
        }}
        """

    def command(port: int) -> list[str]:
        configuration.write_text(text.replace("PORT", str(port)))
        return [program, "-c", str(configuration), "-p", str(folder)]

    return command


def datasette(folder: Path, body: bytes) -> Command | None:
    """Datasette with a table of documents, in the environment of BENCH_DATASETTE or this one; None without it."""
    import sqlite3  # noqa: PLC0415  # for this peer alone

    program = os.environ.get("BENCH_DATASETTE") or shutil.which("datasette")
    if program is None:
        return None
    path = folder / "papers.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE papers (id TEXT PRIMARY KEY, document TEXT)")
        connection.execute("INSERT INTO papers VALUES ('p', ?)", [body.decode()])
    return lambda port: [program, "serve", str(path), "--port", str(port), "--setting", "suggest_facets", "off"]
