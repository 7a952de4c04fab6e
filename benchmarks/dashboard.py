"""How long a page takes to arrive complete, and what a first view weighs.

    python benchmarks/dashboard.py [--rounds 40] [--out benchmarks/results/dashboard-DATE.json]

A service of its own on embedded servers, with 300 papers, one of them with 25 claims, 20 verdicts in a line and 9,815
predictions. Measured over HTTP on one connection, pages and the API's JSON of the same rows in turn, so that both meet
the same machine: milliseconds from the request to the last byte, their ratio, and the service's own processor time a
page, which does not depend on what else the machine does. Then in Chromium, where there is one: from the navigation to
the end of the answer and to the load event, on an empty cache, the processor time of the page's thread (parsing,
styles, layout, scripts), and the bytes that came.
"""

import argparse
import json
import os
import platform
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx
from playwright.sync_api import sync_playwright

from app.access.keys import create_key
from app.access.scopes import Scope
from app.core.db import Database
from app.core.migrate import upgrade
from app.embedded import EmbeddedServers

LIMIT_MS: Final = 100
LIMIT_BYTES: Final = 200_000
RIGHT: Final = 0.915
PAPER: Final = "2101.00001"
LABELS: Final = ("entailment", "neutral", "contradiction")
SPLIT: Final = (3479, 3123, 3213)
AXES: Final = {"model": "proxy", "data": "other_split", "metric": "same", "inference": "unknown"}
Json = dict[str, Any]


@contextmanager
def service(folder: Path) -> Iterator[tuple[httpx.Client, int]]:
    """A client of the service, with a key, and the service's process."""
    with EmbeddedServers(folder, durable=False) as urls:
        upgrade(urls.database_url)
        database = Database(urls.database_url, pool_size=1)
        with database.unit_of_work() as session:
            key = create_key(session, "benchmark", [Scope.admin]).key
        database.close()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        environment = {
            **os.environ,
            "VERDICTS_DATABASE_URL": urls.database_url,
            "VERDICTS_REDIS_URL": urls.redis_url,
            "VERDICTS_LOG_LEVEL": "ERROR",
            "VERDICTS_ACCESS__WRITES_PER_MINUTE": "100000",
            "VERDICTS_ACCESS__WRITES_PER_MINUTE_ADDRESS": "100000",
        }
        process = subprocess.Popen([sys.executable, "-m", "app.cli", "api", "--port", str(port)], env=environment)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
                wait_ready(client)
                client.headers["Authorization"] = f"Bearer {key}"
                yield client, process.pid
        finally:
            process.terminate()
            process.wait(timeout=60)


def wait_ready(client: httpx.Client) -> None:
    """Return once it answers."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        try:
            if client.get("/readyz").status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise SystemExit("the service did not start")


def send(client: httpx.Client, method: str, path: str, body: Json) -> Json:
    """What it answers."""
    answer = client.request(method, path, json=body)
    answer.raise_for_status()
    found: Json = answer.json()
    return found


def fill(client: httpx.Client) -> str:
    """Papers, claims, a history; the id of the verdict with predictions."""
    pick = random.Random(0)  # noqa: S311  # data, not secrets
    claim = {"section": "Table 1", "column": "MNLI-m", "reported_value": "91.8", "unit": "percent"}
    for i in range(1, 301):
        arxiv_id = f"2101.{i:05}"
        meta = {"title": f"A study of things, number {i}", "abstract": "What it says. " * 60, "venue": "ACL 2026"}
        send(client, "PUT", f"/v1/papers/{arxiv_id}", {**meta, "primary_category": "cs.CL"})
        send(client, "POST", f"/v1/papers/{arxiv_id}/claims", {**claim, "row": "Ours", "quoted_text": "Ours 91.8"})
        post_counts(client, arxiv_id, pick.randint(4400, 4640))
    for i in range(24):
        made = send(client, "POST", f"/v1/papers/{PAPER}/claims", {**claim, "row": f"Row {i}", "quoted_text": "91.8"})
        post_counts(client, PAPER, pick.randint(4400, 4640), claim=made["id"])
    for _ in range(19):
        post_counts(client, PAPER, pick.randint(4400, 4640))
    gold = [label for label, n in zip(LABELS, SPLIT, strict=True) for _ in range(n)]
    rows = [
        {"id": str(i), "gold": one, "predicted": one if pick.random() < RIGHT else pick.choice(LABELS)}
        for i, one in enumerate(gold)
    ]
    counts = dict(zip(LABELS, SPLIT, strict=True))
    evidence = {"labels": list(LABELS), "split_label_counts": counts, "predictions": rows, "slice_kind": "full"}
    return str(post(client, PAPER, evidence)["id"])


def post_counts(client: httpx.Client, arxiv_id: str, correct: int, **fields: str) -> None:
    """A verdict on a slice of 4,998 items."""
    post(client, arxiv_id, {"counts": [{"n": 4998, "correct": correct, "total": 9815}]}, **fields)


def post(client: httpx.Client, arxiv_id: str, evidence: Json, **fields: str) -> Json:
    """A verdict on this evidence."""
    body = {"agent_version": "v1.0.0-benchmark", "protocol": AXES, "evidence": evidence, **fields}
    return send(client, "POST", f"/v1/papers/{arxiv_id}/verdicts", body)


def timed(client: httpx.Client, path: str) -> tuple[float, int]:
    """Milliseconds to the last byte, and the bytes of the body as they came."""
    began = time.perf_counter()
    with client.stream("GET", path, headers={"Accept-Encoding": "br"}) as answer:
        for _ in answer.iter_raw():
            pass
        taken = (time.perf_counter() - began) * 1000
        answer.raise_for_status()
        return taken, answer.num_bytes_downloaded


def over_http(client: httpx.Client, pairs: dict[str, str], rounds: int) -> list[Json]:
    """Each page and its JSON in turn, round after round."""
    taken: dict[str, list[float]] = {path: [] for pair in pairs.items() for path in pair}
    sizes: dict[str, int] = {}
    for number in range(rounds + 3):
        for path, kept in taken.items():
            milliseconds, sizes[path] = timed(client, path)
            if number >= 3:  # noqa: PLR2004  # the first ones warm up
                kept.append(milliseconds)
    return [
        {
            "page": page,
            "median_ms": round(median(taken[page]), 1),
            "p95_ms": round(quantiles(taken[page], n=20)[-1], 1),
            "bytes": sizes[page],
            "json": other,
            "json_median_ms": round(median(taken[other]), 1),
            "ratio": round(median(taken[page]) / median(taken[other]), 2),
        }
        for page, other in pairs.items()
    ]


def cpu_of(client: httpx.Client, pid: int, path: str, rounds: int) -> float:
    """Milliseconds of the service's own processor time a request: whatever else the machine does."""
    before = ticks_of(pid)
    for _ in range(rounds):
        timed(client, path)
    return (ticks_of(pid) - before) * 1000 / os.sysconf("SC_CLK_TCK") / rounds


def ticks_of(pid: int) -> int:
    """The process's time so far: fields 14 and 15 of its line in /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def in_browser(base: str, paths: list[str], rounds: int) -> list[Json]:
    """Load events, processor time of the page's thread, and bytes, on an empty cache."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        return []
    script = """() => { const [n] = performance.getEntriesByType("navigation");
        const all = [n, ...performance.getEntriesByType("resource")];
        return [n.responseEnd, n.loadEventStart, all.reduce((sum, one) => sum + one.transferSize, 0)]; }"""
    found = []
    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        for address in paths:
            seen = []
            for _ in range(rounds):
                context = browser.new_context(base_url=base)
                view = context.new_page()
                session = context.new_cdp_session(view)
                session.send("Performance.enable", {"timeDomain": "threadTicks"})
                view.goto(address, wait_until="load")
                metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
                seen.append([*view.evaluate(script), metrics["TaskDuration"] * 1000])
                context.close()
            complete, loaded, weight, thread = (round(median(column), 1) for column in zip(*seen, strict=True))
            times = {"complete_ms": complete, "load_ms": loaded, "thread_ms": thread}
            found.append({"page": address, **times, "bytes": round(weight)})
        browser.close()
    return found


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    with TemporaryDirectory(prefix="verdicts-bench-") as folder, service(Path(folder)) as (client, pid):
        verdict = fill(client)
        del client.headers["Authorization"]
        # A query keeps the API's answer off the hot path, so that both read the database.
        pairs = {
            "/": "/v1/papers?limit=25",
            f"/papers/{PAPER}": f"/v1/papers/{PAPER}/verdicts?limit=20",
            f"/verdicts/{verdict}": f"/v1/verdicts/{verdict}/evidence",
            f"/verdicts/{verdict}/examples": f"/v1/verdicts/{verdict}?x=1",
            "/queue": "/v1/reproductions?limit=50",
            "/drivers": "/v1/drivers?limit=25",
        }
        http = over_http(client, pairs, asked.rounds)
        for row in http:
            row["cpu_ms"] = round(cpu_of(client, pid, row["page"], asked.rounds), 1)
        browser = in_browser(str(client.base_url), ["/", f"/papers/{PAPER}", "/queue"], max(3, asked.rounds // 8))
    print(f"{'page':<24}{'median ms':>10}{'p95 ms':>8}{'bytes':>8}{'JSON ms':>9}{'ratio':>7}{'CPU ms':>8}")
    for row in http:
        shown = row["page"].replace(verdict, "{id}")
        print(f"{shown:<24}{row['median_ms']:>10}{row['p95_ms']:>8}{row['bytes']:>8}", end="")
        print(f"{row['json_median_ms']:>9}{row['ratio']:>7}{row['cpu_ms']:>8}")
    for row in browser:
        text = f"complete {row['complete_ms']:.0f} ms, load {row['load_ms']:.0f} ms, "
        text += f"its thread {row['thread_ms']:.0f} ms, {row['bytes']:,} bytes"
        print(f"in Chromium, empty cache: {row['page']:<20} {text}")
    kept = [row["median_ms"] < LIMIT_MS and row["bytes"] < LIMIT_BYTES for row in http]
    kept += [row["complete_ms"] < LIMIT_MS and row["bytes"] < LIMIT_BYTES for row in browser]
    print(f"under {LIMIT_MS} ms and {LIMIT_BYTES:,} bytes: {sum(kept)} of {len(kept)}")
    if asked.out:
        machine = {"cores": os.cpu_count(), "load": os.getloadavg()[0], "python": platform.python_version()}
        at = datetime.now(UTC).isoformat(timespec="seconds")
        asked.out.write_text(json.dumps({"at": at, **machine, "http": http, "browser": browser}, indent=1) + "\n")


if __name__ == "__main__":
    main()
