"""SHA-256 of files, computed once a process for as long as the file stays what it was."""

from hashlib import file_digest
from pathlib import Path

_known: dict[tuple[str, int, int, int], str] = {}


def file_identity(path: Path) -> tuple[str, int, int, int]:
    """What tells whether a file is still the same without reading it: path, inode, size, modification time in ns."""
    status = path.stat()
    return (str(path), status.st_ino, status.st_size, status.st_mtime_ns)


def file_sha256(path: Path) -> str:
    """SHA-256 (hex) of the file. Remembered by its identity, so a warm worker does not read gigabytes again."""
    identity = file_identity(path)
    if identity not in _known:
        with path.open("rb") as stream:
            _known[identity] = file_digest(stream, "sha256").hexdigest()
    return _known[identity]
