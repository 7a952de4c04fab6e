"""The hot path against its limit and its peers: one run, interleaved, on the embedded Postgres, with the same bytes.

Usage: `python benchmarks/serving.py [--rounds 5] [--seconds 3] [--no-growth] [--papers 1000000]`. nginx and wrk take
part where they are installed; Datasette where the command is on the PATH or named by BENCH_DATASETTE.

How it measures

- Every candidate is a server process of its own and is asked in turn, in rotating order, over 32 kept connections by a
  process of its own. All send the golden paper document (`bare`: the same bytes and headers by the shortest ASGI
  application there is, on the same uvicorn, event loop and parser).
- "capacity" is the CPU time of a request on `bare` over that of the candidate, medians of the rounds: what one core
  could answer, whatever else the machine does. Rates and latencies are those of a shared machine, with the load on the
  next core. "p99/bare" compares within a round.
- `cold` has no memory for answers and is asked for 5,000 papers in turn, so that no two requests share a read.
- `hot` is the service as `verdicts api` starts it, `stock uvicorn` the same application on uvicorn as it comes: there
  it is plain ASGI, like `bare`. `unobserved` is without ids, access log and metrics: the difference is what those cost.
- `a route, its SQL left out` is GET /v1/verdicts/{id} through every layer, with a verdict that is there already.
- What the servers log goes to a file.
- Growth: the use cases in-process: CPU time, Postgres's with it, and the pages that Postgres touches.
"""

import argparse
import json
import os
import platform
import sys
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import httpx
import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from serving.growth import as_rows, measure, plot
from serving.load import Load, load
from serving.servers import Server, api, datasette, free_port, nginx, ours, ready, running, uvicorn

from app.catalogue.import_document import import_document, parse_document
from app.core.db import Database
from app.core.migrate import upgrade
from app.embedded import EmbeddedServers
from app.embedded.postgres import plain_dsn
from tests.factories.growth import Size, grow

RESULTS = Path(__file__).parent / "results"
GOLDEN = Path(__file__).parents[1] / "tests" / "golden" / "paper-2111.09543.json"
DOCUMENT = "/v1/papers/2111.09543"
PLAIN = {"Accept-Encoding": "identity"}
COLD_PAPERS = 5000
PLAIN_ROUTE = "/v1/verdicts/00000000-0000-7000-8000-000000000000"


class Candidate(NamedTuple):
    """Something that is asked."""

    name: str
    server: Server
    paths: list[str]
    headers: dict[str, str]
    goal: str = ""


class Sample(NamedTuple):
    """One turn of one candidate."""

    load: Load
    cpu_us: float


def main() -> int:
    """Run it all; print the tables and write the result."""
    options = _options()
    with TemporaryDirectory(prefix="verdicts-bench-") as name, ExitStack() as stack:
        candidates = _start(stack, Path(name))
        samples = _run(candidates, options.rounds, options.seconds, Path(name))
    rows = _table(candidates, samples)
    _print(rows)
    result: dict[str, Any] = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": _machine()}
    result |= {"rounds": options.rounds, "seconds": options.seconds, "serving": rows}
    RESULTS.mkdir(exist_ok=True)
    stamp = datetime.now(UTC).strftime("%Y-%m-%d")
    if options.growth:
        sizes = [Size(1000, 1), Size(1000, 100), Size(1000, 100_000), Size(30_000, 100), Size(options.papers, 100)]
        costs = list(measure(sizes, 200))
        _print_growth(costs)
        result["growth"] = as_rows(costs)
        plot(costs, RESULTS / f"serving-growth-{stamp}.svg")
    (RESULTS / f"serving-{stamp}.json").write_text(json.dumps(result, indent=1) + "\n")
    return int(any(row["failed"] for row in rows))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--no-growth", dest="growth", action="store_false")
    parser.add_argument("--papers", type=int, default=1_000_000, help="of the largest database")
    return parser.parse_args()


def _start(stack: ExitStack, folder: Path) -> list[Candidate]:
    servers = stack.enter_context(EmbeddedServers(folder / "data", durable=False))
    upgrade(servers.database_url)
    grow(plain_dsn(servers.database_url), Size(papers=COLD_PAPERS, history=10))
    database = Database(servers.database_url)
    with database.unit_of_work() as session:
        import_document(session, parse_document(GOLDEN.read_text(encoding="utf-8")))
    database.close()
    with psycopg.connect(plain_dsn(servers.database_url)) as connection:
        # All documents of one size, whichever is asked for.
        connection.execute(
            "UPDATE paper_documents SET body = golden.body FROM paper_documents golden "
            "JOIN papers ON papers.id = golden.paper_id WHERE papers.arxiv_id = '2111.09543'"
        )
        listed = connection.execute("SELECT arxiv_id FROM papers ORDER BY arxiv_id LIMIT %s", [COLD_PAPERS]).fetchall()
    cold_paths = [f"/v1/papers/{arxiv_id}" for (arxiv_id,) in listed]
    settings = {
        "VERDICTS_DATABASE_URL": servers.database_url,
        "VERDICTS_REDIS_URL": servers.redis_url,
        "VERDICTS_ACCESS__REQUESTS_PER_MINUTE": "100000000",  # counted, and never reached
    }

    def start(name: str, command: Callable[[int], list[str]], path: str = DOCUMENT, **more: str) -> Server:
        port = free_port()
        return stack.enter_context(running(name, command(port), port, path, {**settings, **more}))

    # All at once: each takes seconds of CPU to start.
    shipped = start("shipped", api)
    cold = start("cold", api, VERDICTS_SERVING__CACHE_BYTES="0")
    stock = start("stock", partial(uvicorn, "app.main:serve"))
    unobserved = start("unobserved", partial(ours, "unobserved"))
    unobserved_stock = start("unobserved on stock", partial(uvicorn, "serving.apps:unobserved"))
    plain = start("plain", partial(ours, "plain_route"))
    usual = start("usual", partial(uvicorn, "serving.apps:usual"))
    ready(shipped)
    answer = httpx.get(f"http://127.0.0.1:{shipped.port}{DOCUMENT}", headers=PLAIN)
    held = {**PLAIN, "If-None-Match": answer.headers["etag"]}
    (folder / "body").write_bytes(answer.content)
    (folder / "nothing").touch()
    lines = [f"{name}: {value}" for name, value in answer.headers.items() if name not in {"date", "server"}]
    whole = {"BENCH_BODY": str(folder / "body"), "BENCH_HEADERS": "\n".join(lines)}
    fewer = "\n".join(line for line in lines if not line.startswith("content-"))
    empty = {"BENCH_BODY": str(folder / "nothing"), "BENCH_HEADERS": fewer, "BENCH_STATUS": "304"}
    bare = start("bare", partial(uvicorn, "serving.apps:bare"), **whole)
    bare_304 = start("bare 304", partial(uvicorn, "serving.apps:bare"), **empty)
    found = [
        Candidate("bare", bare, [DOCUMENT], PLAIN),
        Candidate("bare 304", bare_304, [DOCUMENT], PLAIN),
        Candidate("hot 200", shipped, [DOCUMENT], PLAIN, ">= 0.85"),
        Candidate("hot 304", shipped, [DOCUMENT], held, ">= 1.3"),
        Candidate("hot 200, unobserved", unobserved, [DOCUMENT], PLAIN),
        Candidate("hot 304, unobserved", unobserved, [DOCUMENT], held),
        Candidate("hot 200, stock uvicorn", stock, [DOCUMENT], PLAIN),
        Candidate("hot 304, stock uvicorn", stock, [DOCUMENT], held),
        Candidate("hot 200, stock, unobserved", unobserved_stock, [DOCUMENT], PLAIN),
        Candidate("hot 304, stock, unobserved", unobserved_stock, [DOCUMENT], held),
        Candidate("cold: one document row", cold, cold_paths, PLAIN, ">= 0.30"),
        Candidate("a route, its SQL left out", plain, [PLAIN_ROUTE], PLAIN, ">= 0.25"),
        Candidate("/healthz", shipped, ["/healthz"], PLAIN, ">= 0.25"),
        Candidate("usual: ORM, response model", usual, [DOCUMENT], PLAIN, "we are >= 30 x"),
    ]
    for name, make, path in (
        ("nginx, static file", nginx, "/document.json"),
        ("Datasette row", datasette, "/papers/papers/p.json?_shape=array"),
    ):
        place = folder / name.split()[0].strip(",")
        place.mkdir()
        command = make(place, answer.content)
        if command is None:
            print(f"{name}: not installed here")
        else:
            found.append(Candidate(name, start(name, command, path), [path], PLAIN))
    for one in found:
        ready(one.server)
    return found


def _run(candidates: list[Candidate], rounds: int, seconds: float, folder: Path) -> dict[str, list[Sample]]:
    samples: dict[str, list[Sample]] = defaultdict(list)
    for one in candidates:
        load(one.server.port, one.paths, one.headers, 1, folder)
    for turn in range(rounds):
        at = turn % len(candidates)
        for one in candidates[at:] + candidates[:at]:
            before = one.server.cpu_s()
            done = load(one.server.port, one.paths, one.headers, seconds, folder)
            samples[one.name].append(Sample(done, (one.server.cpu_s() - before) / done.requests * 1e6))
    return samples


def _table(candidates: list[Candidate], samples: dict[str, list[Sample]]) -> list[dict[str, Any]]:
    bare = median(sample.cpu_us for sample in samples["bare"])
    rows = []
    for one in candidates:
        mine = samples[one.name]
        tails = [sample.load.p99 / other.load.p99 for sample, other in zip(mine, samples["bare"], strict=True)]
        cpu = median(sample.cpu_us for sample in mine)
        rows.append(
            {
                "name": one.name,
                "cpu_us": round(cpu, 1),
                "capacity": round(bare / cpu, 3),
                "lowest": round(bare / max(sample.cpu_us for sample in mine), 3),
                "highest": round(bare / min(sample.cpu_us for sample in mine), 3),
                "rate": round(median(sample.load.rate for sample in mine)),
                "p50_ms": round(median(sample.load.p50 for sample in mine), 2),
                "p99_ms": round(median(sample.load.p99 for sample in mine), 2),
                "p99_to_bare": round(median(tails), 2),
                "goal": one.goal,
                "failed": sum(sample.load.failed for sample in mine),
            }
        )
    return rows


def _print(rows: list[dict[str, Any]]) -> None:
    columns = ("cpu_us", "capacity", "lowest", "highest", "rate", "p50_ms", "p99_ms", "p99_to_bare", "goal")
    print(f"{'':28}" + "".join(f"{name:>12}" for name in columns))
    for row in rows:
        print(f"{row['name']:28}" + "".join(f"{row[name]!s:>12}" for name in columns))
    by = {row["name"]: row["cpu_us"] for row in rows}
    print(f"hot 200 against the usual way: {by['usual: ORM, response model'] / by['hot 200']:.1f} x")
    for kind in ("200", "304"):
        for whole in (f"hot {kind}", f"hot {kind}, stock uvicorn"):
            cost = by[whole] - by[whole.replace(" uvicorn", "") + ", unobserved"]
            print(f"ids, access log, metrics: {cost:.1f} us, {cost / by[whole]:.1%} of a {whole}")


def _print_growth(costs: list[Any]) -> None:
    sizes = list(dict.fromkeys((cost.papers, cost.history) for cost in costs))
    print(f"\n{'ms of CPU (pages)':28}" + "".join(f"{f'{papers:,}/{history:,}':>20}" for papers, history in sizes))
    for name in dict.fromkeys(cost.operation for cost in costs):
        line = {(cost.papers, cost.history): cost for cost in costs if cost.operation == name}
        cells = (f"{line[size].ms:.2f} ({line[size].pages if line[size].pages is not None else '-'})" for size in sizes)
        print(f"{name:28}" + "".join(f"{cell:>20}" for cell in cells))


def _machine() -> dict[str, Any]:
    return {"python": platform.python_version(), "system": platform.system(), "cores": os.cpu_count()}


if __name__ == "__main__":
    sys.exit(main())
