"""Log files that are rotated at each start and cannot fill the disk."""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import IO

LIMIT_BYTES = 16 * 2**20
KEPT = 3


def open_log(path: Path) -> IO[bytes]:
    """A fresh log for a child to append to; the ones before it become .1, .2 and .3."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size:
        for number in range(KEPT - 1, 0, -1):
            older = _numbered(path, number)
            if older.exists():
                older.replace(_numbered(path, number + 1))
        path.replace(_numbered(path, 1))
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab", buffering=0)


def bound(path: Path, limit: int = LIMIT_BYTES) -> None:
    """Moves a log that has grown over the limit to .1, by copy, as the child goes on writing to the file it has."""
    with suppress(FileNotFoundError):  # someone may have tidied up
        if path.stat().st_size > limit:
            shutil.copyfile(path, _numbered(path, 1))
            os.truncate(path, 0)


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 64_000))
        return b"\n".join(file.read().splitlines()[-lines:]).decode(errors="replace")


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")
