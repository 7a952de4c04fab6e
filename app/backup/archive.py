"""The file of a backup: a zip of one entry a table and a manifest, closed by the SHA-256 of everything before it.

The digest stands in the zip's own comment, so that `unzip` reads the file, too. A file that was cut short or changed
anywhere is known by it before anything else in it is believed.
"""

import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, Final

from app.backup.errors import BackupError

FORMAT: Final = 1
_MANIFEST: Final = "manifest.json"
_DIGEST_BYTES: Final = 64
_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class TableRecord:
    """One table of a backup: its columns in the order of the entry, its rows, and the digest of their text."""

    name: str
    columns: tuple[str, ...]
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds, and the revision of the schema it was taken at."""

    revision: str
    service_version: str
    created_at: str
    tables: tuple[TableRecord, ...]
    sequences: dict[str, int | None]
    """The last value of each sequence; null where none was given out yet."""


@contextmanager
def new_archive(path: Path) -> Iterator["Writer"]:
    """A writer of a backup that appears at `path` whole, or not at all. Raises BackupError where that is taken."""
    if path.exists():
        msg = f"{path} exists already; name another file, or move that one away"
        raise BackupError(msg)
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.touch(mode=0o600)
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            yield Writer(archive)
            archive.comment = b"0" * _DIGEST_BYTES
        _seal(partial)
        partial.rename(path)
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror or error}"
        raise BackupError(msg) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


class Writer:
    """Writes the entries of a backup."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def entry(self, table: str) -> IO[bytes]:
        """Where the rows of a table go, as COPY gives them."""
        return self._archive.open(f"tables/{table}", "w", force_zip64=True)

    def manifest(self, manifest: Manifest) -> None:
        """The last entry."""
        self._archive.writestr(_MANIFEST, json.dumps({"format": FORMAT, **asdict(manifest)}, indent=1))


def open_archive(path: Path) -> tuple[Manifest, zipfile.ZipFile]:
    """A backup whose digest was found right; the caller closes it. Raises BackupError where it is none, or changed."""
    try:
        _check_seal(path)
        archive = zipfile.ZipFile(path)
        return _manifest(json.loads(archive.read(_MANIFEST))), archive
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror or error}"
        raise BackupError(msg) from error
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError) as error:
        msg = f"{path} is not a backup of this service"
        raise BackupError(msg) from error


def blocks_of(archive: zipfile.ZipFile, table: str) -> Iterator[bytes]:
    """The text of a table's entry."""
    with archive.open(f"tables/{table}") as entry:
        while block := entry.read(_BLOCK):
            yield block


def _manifest(read: dict[str, Any]) -> Manifest:
    if read.pop("format") != FORMAT:
        msg = "the backup has a format that this version does not know; restore it with the version that made it"
        raise BackupError(msg)
    tables = tuple(TableRecord(**one | {"columns": tuple(one["columns"])}) for one in read.pop("tables"))
    return Manifest(tables=tables, **read)


def _seal(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(-_DIGEST_BYTES, os.SEEK_END)
        end = file.tell()
        digest = _digest(file, end)
        file.seek(end)
        file.write(digest.encode())
        file.flush()
        os.fsync(file.fileno())


def _check_seal(path: Path) -> None:
    with path.open("rb") as file:
        end = max(0, file.seek(0, os.SEEK_END) - _DIGEST_BYTES)
        found = _digest(file, end).encode()
        file.seek(end)
        if file.read() != found:
            msg = f"{path} is no backup, or was cut short or changed since it was made: its digest does not fit"
            raise BackupError(msg)


def _digest(file: IO[bytes], end: int) -> str:
    """SHA-256 (hex) of the file's first bytes."""
    file.seek(0)
    digest = sha256()
    while end > 0 and (block := file.read(min(_BLOCK, end))):
        digest.update(block)
        end -= len(block)
    return digest.hexdigest()
