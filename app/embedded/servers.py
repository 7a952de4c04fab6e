"""Both servers on one data folder, as a context manager."""

import json
import re
import shutil
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType

from app.embedded.binaries import find_postgres, find_valkey
from app.embedded.lock import FolderLock, is_locked
from app.embedded.postgres import Postgres, plain_dsn
from app.embedded.secret import write_private
from app.embedded.signals import STOP_SIGNALS
from app.embedded.supervisor import Supervisor
from app.embedded.valkey import Valkey

READY_S = 300.0
"""Recovery after a crash may have much to read."""
_LONGEST_SOCKET_FOLDER = 80  # the kernel allows 104 to 108 bytes for the whole path


@dataclass(frozen=True)
class ServerUrls:
    """Where the servers are, passwords included: its repr shows neither."""

    database_url: str = field(repr=False)
    """For SQLAlchemy: postgresql+psycopg://…"""
    redis_url: str = field(repr=False)
    """For redis-py and for Celery: redis://…"""

    @property
    def dsn(self) -> str:
        """The database as libpq, psycopg and asyncpg take it, postgresql://…, without a driver."""
        return plain_dsn(self.database_url)


class EmbeddedServers:
    """Postgres and Valkey as children of this process, which leave when it does, however it ends.

    A server whose URL is given is not started: it is somebody else's, and its URL is handed on.
    With `durable=False` the data may not survive a crash; for tests.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        durable: bool = True,
        database_url: str | None = None,
        redis_url: str | None = None,
    ) -> None:
        self._data_dir = data_dir.resolve()
        self._durable = durable
        self._database_url = database_url
        self._redis_url = redis_url
        self._lock = FolderLock(self._data_dir)
        self._supervisor: Supervisor | None = None

    def __enter__(self) -> ServerUrls:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> ServerUrls:
        """Returns when both servers answer; after any exception, KeyboardInterrupt included, nothing is left running.

        Raises DataFolderInUseError, EmbeddedServersMissingError or ServiceFailedError. SIGINT, SIGTERM and SIGHUP
        raise StopRequested from here on until `stop`, when called in the main thread.
        """
        STOP_SIGNALS.install(self)
        try:
            self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock.acquire()
            urls = self._start()
            write_private(_notice(self._data_dir), json.dumps(asdict(urls)))
        except BaseException:
            self.stop()
            raise
        return urls

    def stop(self) -> None:
        """Stops the servers in good order and gives the folder free; does nothing where none run."""
        with STOP_SIGNALS.stopping():
            if self._supervisor:
                self._supervisor.stop()
                self._supervisor = None
                _notice(self._data_dir).unlink(missing_ok=True)
                _remove_sockets(self._data_dir)
            self._lock.release()
        STOP_SIGNALS.remove(self)

    def _start(self) -> ServerUrls:
        _notice(self._data_dir).unlink(missing_ok=True)
        servers: list[Postgres | Valkey] = []
        valkey = postgres = None
        if self._redis_url is None:
            servers.append(valkey := Valkey(find_valkey(), self._data_dir, durable=self._durable))
        if self._database_url is None:
            program, sockets = find_postgres(), _make_sockets(self._data_dir)
            servers.append(postgres := Postgres(program, self._data_dir, sockets, durable=self._durable))
        self._supervisor = Supervisor([server.service() for server in servers], self._data_dir)
        self._supervisor.start()
        self._supervisor.wait_ready(READY_S)
        return ServerUrls(
            database_url=postgres.url if postgres else self._database_url or "",
            redis_url=valkey.url if valkey else self._redis_url or "",
        )


def running_urls(data_dir: Path) -> ServerUrls | None:
    """The servers that another process runs on this data folder now; None where none does."""
    notice = _notice(data_dir.resolve())
    if not is_locked(data_dir) or not notice.exists():
        return None
    return ServerUrls(**json.loads(notice.read_text(encoding="utf-8")))


def _notice(data_dir: Path) -> Path:
    return data_dir / "servers.json"


def _make_sockets(data_dir: Path) -> Path:
    """A private folder for sockets: `run`, or where its path would be too long, or odd for libpq, one behind that."""
    _remove_sockets(data_dir)
    run = data_dir / "run"
    if len(bytes(run)) <= _LONGEST_SOCKET_FOLDER and re.fullmatch(r"[\w/.+-]+", str(run)):
        run.mkdir(mode=0o700)
        return run
    short = tempfile.mkdtemp(prefix="verdicts-")
    if len(short) > _LONGEST_SOCKET_FOLDER:
        short = tempfile.mkdtemp(prefix="verdicts-", dir="/tmp")
    run.symlink_to(short)
    return Path(short)


def _remove_sockets(data_dir: Path) -> None:
    run = data_dir / "run"
    shutil.rmtree(run.resolve(), ignore_errors=True)
    run.unlink(missing_ok=True)
