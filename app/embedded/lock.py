"""One supervisor a data folder."""

import fcntl
import os
import time
from pathlib import Path

from app.embedded.errors import DataFolderInUseError

_PATIENCE_S = 0.3


class FolderLock:
    """An advisory lock that the kernel drops with this process, however it ends; its file names the holder."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "lock"
        self._fd: int | None = None

    def acquire(self) -> None:
        """Takes the lock, or raises DataFolderInUseError."""
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        # A moment's patience: `is_locked` holds a shared lock for as long as it takes to look.
        deadline = time.monotonic() + _PATIENCE_S
        while not _try_lock(fd, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                raise self._in_use(fd)
            time.sleep(0.02)
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd

    def release(self) -> None:
        """Drops the lock, if it is held."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _in_use(self, fd: int) -> DataFolderInUseError:
        holder = os.pread(fd, 20, 0).decode(errors="replace").strip() or "unknown"
        os.close(fd)
        msg = (
            f"The data folder {self._path.parent} is in use by process {holder}: "
            "stop that one first (Ctrl-C, or `kill` with its number), or choose another data folder."
        )
        return DataFolderInUseError(msg)


def is_locked(data_dir: Path) -> bool:
    """Whether a supervisor holds the data folder now."""
    try:
        fd = os.open(data_dir / "lock", os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(fd, fcntl.LOCK_SH)
    finally:
        os.close(fd)


def _try_lock(fd: int, how: int) -> bool:
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
