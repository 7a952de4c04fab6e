"""The hot path against its limit and its peers: one run, interleaved, on the embedded Postgres, with the same bytes.

Usage: `python benchmarks/serving.py [--rounds 5] [--seconds 2] [--no-growth] [--write-docs]`. nginx and wrk take
part where they are installed; Datasette comes from PyPI into an environment of its own, or is named by BENCH_DATASETTE.

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
- `serving/budget.py`: the same layers in one process without sockets, in microseconds.
- Growth: the use cases in-process: CPU time, Postgres's with it, and the pages that Postgres touches.
- `--write-docs` puts the tables of this run into docs/serving.md.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections import defaultdict
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from serving.candidates import Bench, Candidate
from serving.growth import as_rows, measure
from serving.load import Load, load
from serving.plot import plot
from serving.report import printed, printed_growth, write_page

from tests.factories.growth import Size

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "serving.md"


class Sample(NamedTuple):
    """One turn of one candidate."""

    load: Load
    cpu_us: float


def main() -> int:
    """Run it all; print the tables and write the result."""
    options, load_before = _options(), os.getloadavg()[0]
    with TemporaryDirectory(prefix="verdicts-bench-") as name, ExitStack() as stack:
        candidates = Bench(stack, Path(name)).candidates()
        samples = _run(candidates, options.rounds, options.seconds, Path(name))
    rows, said = _table(candidates, samples), _said(samples)
    print("\n".join([printed(rows), *said]))
    result: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["python", "benchmarks/serving.py", *sys.argv[1:]]),
        "machine": {**_machine(), "load": load_before},
        "rounds": options.rounds,
        "seconds": options.seconds,
        "serving": rows,
        "said": said,
        "budget": _budget(),
    }
    costs = list(measure(_sizes(options.papers), options.repeats)) if options.growth else []
    RESULTS.mkdir(exist_ok=True)
    stamp = datetime.now(UTC).strftime("%Y-%m-%d")
    _write(RESULTS / f"serving-{stamp}.json", result | ({"growth": as_rows(costs)} if costs else {}))
    if costs:
        print(printed_growth(costs))
        plot(costs, PAGE.with_name("serving-growth.svg"))
    if options.write_docs:
        write_page(PAGE, result, costs)
    return int(any(row["failed"] for row in rows))


def _sizes(papers: int) -> list[Size]:
    return [Size(1000, 1), Size(1000, 100), Size(1000, 100_000), Size(min(30_000, papers), 100), Size(papers, 100)]


def _write(path: Path, result: dict[str, Any]) -> None:
    path.write_text(json.dumps(result, indent=1) + "\n")


def _budget() -> dict[str, float]:
    """Where the microseconds go, in a process of its own: the layers are wrapped and stubbed there."""
    folder = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{folder.parent}:{folder}"}
    argv = [sys.executable, "-m", "serving.budget"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    done = subprocess.run(argv, check=True, text=True, env=environment, **pipes)
    print(f"\nmicroseconds in the process\n{done.stdout}")
    pairs = (line.rsplit(maxsplit=1) for line in done.stdout.splitlines())
    return {name: float(value) for name, value in pairs}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--no-growth", dest="growth", action="store_false")
    parser.add_argument("--papers", type=int, default=1_000_000, help="of the largest database")
    parser.add_argument("--repeats", type=int, default=50, help="of each operation whose growth is measured")
    parser.add_argument("--write-docs", action="store_true", help="put the tables into docs/serving.md")
    return parser.parse_args()


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


def _said(samples: dict[str, list[Sample]]) -> list[str]:
    """What the rows say together. Differences are of turns in the same round, so that a busy minute is in both."""
    by = {name: [sample.cpu_us for sample in of_one] for name, of_one in samples.items()}
    usual = median(by["usual: ORM, response model"]) / median(by["hot 200"])
    said = [f"A hot 200 against the usual way: {usual:.0f} x."]
    for kind in ("200", "304"):
        pairs = list(zip(by[f"hot {kind}"], by[f"hot {kind}, unobserved"], strict=True))
        cost = median(whole - without for whole, without in pairs)
        share = median(1 - without / whole for whole, without in pairs)
        said.append(f"Ids, access log, metrics and limit: {cost:.1f} µs, {share:.1%} of a hot {kind}.")
    return said


def _machine() -> dict[str, Any]:
    return {"python": platform.python_version(), "system": platform.system(), "cores": os.cpu_count()}


if __name__ == "__main__":
    sys.exit(main())
