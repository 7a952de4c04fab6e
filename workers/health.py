"""`python -m workers.health`: whether the worker processes of this host live; for container health checks.

A solo worker answers no Celery ping while it runs a model, so each process shows that it lives by touching a file.
"""

import os
import sys
import time
from pathlib import Path
from typing import Final

from app.core.settings import Settings

FRESH_S: Final = 60.0


def _folder(settings: Settings) -> Path:
    return settings.data_dir / "workers"


def sign_of_life(settings: Settings) -> None:
    """Touch this worker's file."""
    folder = _folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{settings.device.replace(':', '-')}.alive").write_text(f"{os.getpid()}\n")


def main() -> int:
    """0 where every worker of this host gave a sign of life within the last minute, and there is one; else 1."""
    signs = list(_folder(Settings()).glob("*.alive"))
    fresh = [time.time() - sign.stat().st_mtime < FRESH_S for sign in signs]
    return 0 if fresh and all(fresh) else 1


if __name__ == "__main__":
    sys.exit(main())
