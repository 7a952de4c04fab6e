"""SHA-256 of files, computed once a process for as long as the file stays what it was, in the background if asked."""

from collections.abc import Iterable
from concurrent.futures import Future
from hashlib import sha256
from pathlib import Path
from threading import Lock, Thread
from typing import Final

_AT_ONCE: Final = 32 << 20
"""Few large pieces: each has to wait for its turn with the interpreter, up to 5 ms while another thread imports."""

Identity = tuple[str, int, int, int]

_known: Final[dict[Identity, Future[str]]] = {}
_lock: Final = Lock()


def file_identity(path: Path) -> Identity:
    """What tells whether a file is still the same without reading it: path, inode, size, modification time in ns."""
    status = path.stat()
    return (str(path), status.st_ino, status.st_size, status.st_mtime_ns)


def file_sha256(path: Path) -> str:
    """SHA-256 (hex) of the file. Remembered by its identity, so a warm worker does not read gigabytes again."""
    identity = file_identity(path)
    digest, new = _entry(identity)
    if new:
        _fill(digest, path, identity)
    return digest.result()


def hash_soon(paths: Iterable[Path]) -> None:
    """Begin in the background what `file_sha256` will be asked for; it waits for the result then."""
    for path in paths:
        identity = file_identity(path)
        digest, new = _entry(identity)
        if new:
            Thread(target=_fill, args=(digest, path, identity), name="digest", daemon=True).start()


def _entry(identity: Identity) -> tuple[Future[str], bool]:
    with _lock:
        new = identity not in _known
        return _known.setdefault(identity, Future()), new


def _fill(digest: Future[str], path: Path, identity: Identity) -> None:
    try:
        digest.set_result(_computed(path))
    except BaseException as error:
        # Whoever waits hears of it; whoever comes later tries again.
        with _lock:
            _known.pop(identity, None)
        digest.set_exception(error)
        if not isinstance(error, Exception):
            raise


def _computed(path: Path) -> str:
    state, piece = sha256(), bytearray(_AT_ONCE)
    view = memoryview(piece)
    with path.open("rb", buffering=0) as stream:
        while count := stream.readinto(view):
            state.update(view[:count])
    return state.hexdigest()
