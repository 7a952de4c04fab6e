"""Where a checkpoint's folder is: in the catalogue, on the hub, or inside an installed package."""

from importlib.util import find_spec
from pathlib import Path

from app.protocol.driver import FolderSource, HubSource, Source
from app.protocol.errors import DriverError


def locate_checkpoint(source: Source, *, root: Path, cache: Path) -> Path:
    """The checkpoint's folder, resolved. A relative path is resolved under `root` and may not leave it.

    Raises DriverError: `checkpoint_missing`, `hub_unreachable` (retryable).
    """
    if isinstance(source, HubSource):
        from workers.runtime.hub import fetch_checkpoint  # noqa: PLC0415 - the hub's client takes a third of a second

        return fetch_checkpoint(source, cache=cache).resolve()
    if isinstance(source, FolderSource):
        given, base, shown = Path(source.path), root.resolve(), source.path
        inside = given.is_absolute()
    else:
        given, base, shown = Path(source.path), _package(source.package), f"{source.package}/{source.path}"
        inside = False
    try:
        folder = (base / given).resolve()
    except (RuntimeError, ValueError) as error:  # links in a ring, a zero byte
        raise DriverError(code="checkpoint_missing", message=f"{shown!r} is not a path.") from error
    if not inside and not folder.is_relative_to(base):
        raise DriverError(code="checkpoint_missing", message=f"{shown} leads out of where checkpoints are kept.")
    if not folder.is_dir():
        raise DriverError(code="checkpoint_missing", message=f"There is no checkpoint folder {shown}.")
    return folder


def _package(name: str) -> Path:
    # Found without importing it: a package that carries weights needs no code run.
    found = find_spec(name) if name.isidentifier() else None
    if found is None or not found.submodule_search_locations:
        raise DriverError(
            code="checkpoint_missing",
            message=f"The Python package {name}, which carries the checkpoint, is not installed on this worker.",
        )
    return Path(found.submodule_search_locations[0]).resolve()
