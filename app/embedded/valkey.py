"""One embedded Redis-protocol server: an append-only file, on the loopback interface, behind a password."""

import os
import random
import socket
import threading
from pathlib import Path

from app.embedded.binaries import Program
from app.embedded.child import Service
from app.embedded.errors import EmbeddedError
from app.embedded.leftovers import read_pid, wait_for_leftover
from app.embedded.secret import kept_secret, write_private

_PORTS = range(20_000, 32_000)
"""Below the ports that systems give to outgoing connections, which could take ours while the server restarts."""


class Valkey:
    """The server of the data folder `<data_dir>/valkey`.

    TCP on 127.0.0.1 and not a Unix socket, because redis-py and Celery write a socket's URL in two different ways:
    this way one URL serves both, and is written as for any other server. The password keeps other users out.
    """

    def __init__(self, program: Program, data_dir: Path, *, durable: bool) -> None:
        self._program = program
        self._folder = data_dir / "valkey"
        self._config = data_dir / "valkey.conf"
        self._pid_file = data_dir / "valkey.pid"
        self._durable = durable
        self._password = kept_secret(data_dir / "secrets" / "valkey")
        self._port = 0
        self._was_ready = False

    @property
    def url(self) -> str:
        """For redis-py and for Celery; settled once the server was ready."""
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    def service(self) -> Service:
        """What the supervisor keeps running."""
        return Service(
            name="valkey",
            argv=(str(self._program.path), str(self._config)),
            env={"LC_ALL": "C", "PATH": os.defpath},
            ready=self.ready,
            prepare=self.prepare,
            grace=30.0,
            guarded=False,
        )

    def prepare(self, cancelled: threading.Event) -> None:
        """Waits for the server of a killed run, and writes the configuration."""
        wait_for_leftover(read_pid(self._pid_file), str(self._config), cancelled)
        if not self._was_ready:  # later clients know the port; until then another one costs nothing
            self._port = _free_port()
        self._folder.mkdir(mode=0o700, exist_ok=True)
        write_private(self._config, "".join(f"{key} {value}\n" for key, value in self._settings().items()))

    def ready(self) -> bool:
        """Whether it answers with our password, and has loaded its data."""
        # By hand, as importing a client library for one PING would take 0.3 s of every command's start.
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=5) as connection:
                connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                with connection.makefile("rb") as answers:
                    self._was_ready = answers.readline() + answers.readline() == b"+OK\r\n+PONG\r\n"
        except OSError:
            return False
        return self._was_ready

    def _settings(self) -> dict[str, str]:
        return {
            "bind": "127.0.0.1",
            "port": str(self._port),
            "requirepass": self._password,
            "dir": _quoted(self._folder),
            "pidfile": _quoted(self._pid_file),
            "daemonize": "no",
            "set-proc-title": "no",  # leftovers are known by their arguments
            "maxmemory-policy": "noeviction",
            "appendonly": "yes" if self._durable else "no",
            "appendfsync": "everysec",
            "save": '""',
        }


def _free_port() -> int:
    for port in random.sample(_PORTS, 200):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    msg = "no free port on 127.0.0.1"
    raise EmbeddedError(msg)


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
