"""A small `verdicts up`, run as a program by the tests of signals and kills, which need a process of its own."""

import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

from app.embedded import EmbeddedServers, Service, StopRequested, Supervisor, process


def main() -> None:
    order: dict[str, Any] = json.loads(sys.argv[1])
    logging.basicConfig(level=logging.INFO)
    process.KERNEL_BINDS = process.KERNEL_BINDS and not order["only_guards"]
    data_dir = Path(order["data_dir"])
    nowhere = None if order["servers"] else "nowhere"
    services = [Service(name, argv, grace=order["grace"]) for name, argv in order["services"].items()]
    try:
        with EmbeddedServers(data_dir, database_url=nowhere, redis_url=nowhere) as urls:
            with Supervisor(services, data_dir) as supervisor:
                supervisor.wait_ready()
                if order["fork"] and os.fork() == 0:
                    time.sleep(60)
                    os._exit(0)
                print(f"ready {urls.dsn} {urls.redis_url}", flush=True)  # noqa: T201 the tests wait for it
                signum = supervisor.wait()
            print(f"stopped by {signum}", flush=True)  # noqa: T201 the tests read it
    except StopRequested as request:
        print(f"stopped by {request.signum}", flush=True)  # noqa: T201 the tests read it


if __name__ == "__main__":
    main()
