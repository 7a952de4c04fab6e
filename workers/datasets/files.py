"""Where the file of a data set lies, and its bytes: bounded, regular files only, no way out of the catalogue."""

from pathlib import Path
from stat import S_ISREG
from typing import Final

from app.protocol.driver import FolderSource, HubSource
from app.protocol.errors import DriverError

MAX_FILE_BYTES: Final = 1 << 30
"""A data file is read whole, once, so that what is hashed is what is parsed; this bounds it."""


def locate(source: FolderSource | HubSource, file: str | None, *, root: Path, cache: Path, what: str) -> Path:
    """The local path of a data file; `what` is `dataset` or `predictions` and begins the error codes.

    A relative path is resolved under `root` and may not leave it, not even by a symbolic link.
    Raises DriverError `<what>_missing`, `hub_unreachable`.
    """
    if isinstance(source, HubSource):
        if file is None:
            raise DriverError(
                code=f"{what}_missing",
                message=f"The driver names the repository {source.hub} but no `file` in it.",
            )
        from workers.datasets import hub  # noqa: PLC0415 - the hub's client takes a third of a second to import

        return hub.fetch(source, file, cache=cache, what=what)
    given = Path(source.path)
    try:
        path = (root / given).resolve()
    except (RuntimeError, ValueError) as error:  # links in a ring, a zero byte
        raise DriverError(code=f"{what}_missing", message=f"{source.path!r} is not a path.") from error
    if not given.is_absolute() and not path.is_relative_to(root.resolve()):
        raise DriverError(
            code=f"{what}_missing",
            message=f"{source.path} leads out of the catalogue. Give a path inside it, or an absolute one.",
        )
    return path


def read_bounded(path: Path, *, shown: str, what: str) -> bytes:
    """The bytes of a regular file. Raises DriverError `<what>_missing`, `<what>_too_large`."""
    try:
        status = path.stat()
        if not S_ISREG(status.st_mode):
            raise DriverError(code=f"{what}_missing", message=f"{shown} is not a regular file.")
        with path.open("rb") as stream:
            contents = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise DriverError(code=f"{what}_missing", message=f"{shown} cannot be read: {error.strerror}.") from error
    if len(contents) > MAX_FILE_BYTES:
        raise DriverError(
            code=f"{what}_too_large", message=f"{shown} is larger than {MAX_FILE_BYTES} bytes, the most that is read."
        )
    return contents
