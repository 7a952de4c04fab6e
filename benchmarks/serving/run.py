"""Serves a factory of `serving.apps` with the options of `verdicts api`: `python -m serving.run FACTORY PORT`."""

import sys

import uvicorn

from app.core.quick import quick
from app.core.settings import Settings

if __name__ == "__main__":
    uvicorn.run(
        f"serving.apps:{sys.argv[1]}",
        factory=True,
        port=int(sys.argv[2]),
        log_config=None,
        access_log=False,
        http=quick(Settings().limits),
        ws="none",
        proxy_headers=False,
    )
