"""What idle event streams cost: memory and CPU of a real `verdicts api` without and with 500 of them.

    .venv-test/bin/python benchmarks/events.py [--streams 500] [--seconds 30]

Also how long an event takes from its commit to the last of all streams. Absolute numbers are this machine's; the CPU of
an idle service is in the same table.
"""

import argparse
import asyncio
import json
import os
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1]))

from app.core.db import Database
from app.core.migrate import upgrade
from app.embedded import EmbeddedServers
from tests.factories.drivers import make_subject
from tests.factories.forks import Forks
from tests.factories.served import Served, serving
from tests.factories.verdicts import issue_verdict

TICKS = os.sysconf("SC_CLK_TCK")
Reader = asyncio.StreamReader


def memory_of(served: Served) -> dict[str, float]:
    """MiB of the process: resident, and its own alone."""
    lines = Path(f"/proc/{served.process.pid}/smaps_rollup").read_text().splitlines()
    sizes = {name: int(rest.split()[0]) / 1024 for name, _, rest in (line.partition(":") for line in lines[1:])}
    return {"rss": sizes["Rss"], "private": sizes["Private_Dirty"] + sizes["Private_Clean"]}


def cpu_of(pid: int) -> float:
    """Seconds of CPU that the process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def rest(served: Served, seconds: float) -> dict[str, float]:
    """CPU of the service, in percent of one core, and its memory after that."""
    before, began = cpu_of(served.process.pid), time.monotonic()
    await asyncio.sleep(seconds)
    used = cpu_of(served.process.pid) - before
    return {"cpu_percent": 100 * used / (time.monotonic() - began), **memory_of(served)}


async def connect(served: Served) -> Reader:
    """A stream that is open."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    await reader.readuntil(b"retry: 2000\n\n")
    reader.writer = writer  # type: ignore[attr-defined]  # keeps the connection open
    return reader


async def tell(database: Database, subject: object, readers: list[Reader]) -> list[float]:
    """Seconds from before the transaction to the last stream that was told, for each of some verdicts."""
    found = []
    for number in range(10):
        began = time.monotonic()
        waiting = [asyncio.create_task(reader.readuntil(b"event: verdict.issued\n")) for reader in readers]
        await asyncio.to_thread(issue_verdict, database, subject, score=number / 10)  # type: ignore[arg-type]
        await asyncio.gather(*waiting)
        found.append(time.monotonic() - began)
    return found


async def measure(served: Served, database: Database, number: int, seconds: float) -> dict[str, object]:
    """Nobody, then everybody, then everybody told."""
    subject = make_subject(database)
    await rest(served, 3)  # what the start has left to do
    alone = await rest(served, seconds)
    one = await connect(served)
    single = await rest(served, seconds)
    readers = [one, *[await connect(served) for _ in range(number - 1)]]
    crowd = await rest(served, seconds)
    told = sorted(await tell(database, subject, readers))
    return {
        "streams": number,
        "nobody": alone,
        "one": single,
        "all": crowd,
        "private_kib_a_stream": 1024 * (crowd["private"] - single["private"]) / (number - 1),
        "told_all_ms": {"median": 1000 * told[len(told) // 2], "worst": 1000 * told[-1]},
    }


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args()
    with TemporaryDirectory() as folder, EmbeddedServers(Path(folder), durable=False) as urls:
        upgrade(urls.database_url)
        database = Database(urls.database_url, pool_size=2)
        settings = {
            "VERDICTS_EVENTS__STREAMS_OF_ADDRESS": str(asked.streams),
            "VERDICTS_LOG_LEVEL": "ERROR",
            "VERDICTS_ACCESS__REQUESTS_PER_MINUTE": "0",
        }
        with Forks() as forks, serving(forks, urls.database_url, urls.redis_url, Path(folder), **settings) as served:
            found = asyncio.run(measure(served, database, asked.streams, asked.seconds))
        database.close()
    found = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": platform.processor(), **found}
    found |= {"cores": os.cpu_count(), "load": os.getloadavg()[0], "python": platform.python_version()}
    text = json.dumps(found, indent=1, default=float)
    print(text)
    if asked.keep:
        asked.keep.write_text(text + "\n")


if __name__ == "__main__":
    main()
