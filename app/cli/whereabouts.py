"""Where the API of `verdicts up` listens, for commands on the same data folder."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from app.embedded import running_urls

_NOTICE: Final = "service.json"


@contextmanager
def noted(data_dir: Path, url: str) -> Iterator[None]:
    """While this lasts, other commands find the API at this address."""
    notice = data_dir / _NOTICE
    notice.write_text(json.dumps({"url": url}), encoding="utf-8")
    try:
        yield
    finally:
        notice.unlink(missing_ok=True)


def running_service(data_dir: Path) -> str | None:
    """The address of the API that runs on this data folder now; None where none is known to."""
    try:
        said = json.loads((data_dir / _NOTICE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return str(said["url"]) if running_urls(data_dir) is not None else None
