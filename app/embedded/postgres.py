"""One embedded Postgres: initdb once, then serve on a Unix socket that only this user can reach."""

import os
import shutil
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import psycopg

from app.embedded.binaries import Program
from app.embedded.child import Service
from app.embedded.errors import EmbeddedError
from app.embedded.identity import give, not_root
from app.embedded.leftovers import is_alive, read_pid, wait_for_leftover
from app.embedded.process import Launch, run_to_end
from app.embedded.secret import kept_secret, sync_folder, write_private

NAME = "verdicts"
"""Of the database and of the role that owns it, which is no superuser."""
_BUILTIN_LOCALE_SINCE = 17
_SCRAM_ITERATIONS_SINCE = 16
_INITDB_SETTINGS_SINCE = 16
# Files in the data folder and not in /dev/shm: there a killed server leaves 1 MiB behind, and a container has 64 MiB.
_SHARED_MEMORY = "dynamic_shared_memory_type=mmap"
_UNSAFE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Postgres:
    """The server of the data folder `<data_dir>/postgres`."""

    def __init__(self, program: Program, data_dir: Path, sockets: Path, *, durable: bool) -> None:
        self._program = program
        self._data_dir = data_dir
        self._folder = data_dir / "postgres"
        self._sockets = sockets
        self._durable = durable
        self._identity = not_root(program.path, data_dir)
        self._password = kept_secret(data_dir / "secrets" / "postgres")

    @property
    def url(self) -> str:
        """For SQLAlchemy, with psycopg 3."""
        host = quote(str(self._sockets), safe="")
        return f"postgresql+psycopg://{NAME}:{self._password}@/{NAME}?host={host}&port=5432"

    def service(self) -> Service:
        """What the supervisor keeps running. Its stop signal asks for a fast shutdown: clients are cut off."""
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._sockets),
            "unix_socket_permissions": "0700",
            "port": "5432",
            "cluster_name": NAME,
            "log_line_prefix": "%m [%p] ",
            "log_checkpoints": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
            **({} if self._durable else _UNSAFE),
        }
        flags = ["-c", _SHARED_MEMORY, *(part for key, value in settings.items() for part in ("-c", f"{key}={value}"))]
        return Service(
            name="postgres",
            argv=(str(self._program.path), "-D", str(self._folder), *flags),
            # Behind a guard we are its grandparent, which it cannot see for itself: see _disown.
            env={**_environment(), "PG_GRANDPARENT_PID": str(os.getpid())},
            ready=self.ready,
            prepare=self.prepare,
            stop_signal=signal.SIGINT,
            death_signal=signal.SIGINT,
            grace=60.0,
            identity=self._identity,
            guarded=False,
        )

    def prepare(self, cancelled: threading.Event) -> None:
        """Makes the folder where there is none, and clears away what a killed run left."""
        if self._folder.exists():
            self._check_version()
            wait_for_leftover(read_pid(self._folder / "postmaster.pid"), str(self._folder), cancelled)
            self._disown()
        else:
            self._make(cancelled)
        for path in self._sockets.glob(".s.PGSQL.*"):
            path.unlink()
        give(self._folder, self._identity)
        give(self._sockets, self._identity)

    def ready(self) -> bool:
        """Whether it answers with our password."""
        try:
            psycopg.connect(plain_dsn(self.url), connect_timeout=5).close()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                secret = self._data_dir / "secrets" / "postgres"
                msg = f"{self._folder} was made with another password than {secret} holds: bring that file back."
                raise EmbeddedError(msg) from None
            return False
        return True

    def _make(self, cancelled: threading.Event) -> None:
        """The folder appears in one step, complete: with our role and our database."""
        for path in self._data_dir.glob("postgres.new*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        new, superuser = self._data_dir / "postgres.new", self._data_dir / "postgres.new-password"
        write_private(superuser, kept_secret(self._data_dir / "secrets" / "postgres-superuser"))
        new.mkdir(mode=0o700)
        try:
            give(new, self._identity)
            give(superuser, self._identity)
            self._initdb(new, superuser, cancelled)
            self._make_database(new, cancelled)
            new.rename(self._folder)
            sync_folder(self._data_dir)
        finally:
            superuser.unlink()
            shutil.rmtree(new, ignore_errors=True)

    def _initdb(self, folder: Path, superuser: Path, cancelled: threading.Event) -> None:
        flags = ["-D", str(folder), "--username=postgres", f"--pwfile={superuser}", "--auth=scram-sha-256"]
        flags += ["--encoding=UTF8", "--locale=C"]
        if self._program.version >= _BUILTIN_LOCALE_SINCE:
            # Unicode's letters and cases, in the order of code points: the same on every machine.
            flags += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        if self._program.version >= _INITDB_SETTINGS_SINCE:
            flags += ["-c", _SHARED_MEMORY]
        self._run("initdb", flags if self._durable else [*flags, "--no-sync"], cancelled)

    def _make_database(self, folder: Path, cancelled: threading.Event) -> None:
        statements = [
            f"CREATE ROLE {NAME} LOGIN CREATEDB PASSWORD '{self._password}'",
            f"CREATE DATABASE {NAME} OWNER {NAME}",
        ]
        if self._program.version >= _SCRAM_ITERATIONS_SINCE:
            # Iterations protect passwords that can be guessed; on 256 random bits they only cost 6 ms a connection.
            statements.insert(0, "SET scram_iterations = 1")
        flags = ["--single", "-D", str(folder), "-c", "exit_on_error=on"]
        flags += ["-c", _SHARED_MEMORY, "-c", "log_min_error_statement=panic"]  # an error must not show the password
        flags += ["postgres"] if self._durable else ["-F", "postgres"]
        self._run("postgres", flags, cancelled, stdin="\n".join([*statements, ""]))

    def _run(self, name: str, flags: list[str], cancelled: threading.Event, *, stdin: str = "") -> None:
        argv = (str(self._program.path.with_name(name)), *flags)
        launch = Launch(argv, _environment(), identity=self._identity, death_signal=signal.SIGKILL)
        run_to_end(launch, cancelled, stdin=stdin.encode())

    def _check_version(self) -> None:
        made_by = int((self._folder / "PG_VERSION").read_text(encoding="ascii"))
        if made_by != self._program.version:
            msg = (
                f"{self._folder} was made by Postgres {made_by}, and {self._program.path} is version "
                f"{self._program.version}: install version {made_by}, or dump and load into a new data folder."
            )
            raise EmbeddedError(msg)

    def _disown(self) -> None:
        """Makes a stale lock file, whose number now belongs to some other program, ours.

        Postgres refuses to start while that process lives, except where it is its own parent. The file is rewritten and
        not deleted: its other lines let Postgres see backends of the dead server that still write to the folder.
        """
        path = self._folder / "postmaster.pid"
        pid = read_pid(path)
        if pid is None:
            path.unlink(missing_ok=True)  # a power cut left it empty, and Postgres would refuse to start for ever
        elif is_alive(pid):
            rest = path.read_text(encoding="utf-8").partition("\n")[2]
            write_private(path, f"{os.getpid()}\n{rest}")
            give(path, self._identity)


def plain_dsn(url: str) -> str:
    """The URL as libpq, psycopg and asyncpg take it."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def _environment() -> Mapping[str, str]:
    # Not ours: PGDATA, PGPORT or a broken locale of the user would reach the server.
    kept = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")
    return {"LC_ALL": "C", "PATH": os.defpath} | {key: os.environ[key] for key in kept if key in os.environ}
