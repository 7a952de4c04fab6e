"""From POST to verdict: how long who asks for a reproduction of a whole dev set waits, the first time and once warm.

Usage: `python benchmarks/from_post.py [--shape large] [--device cuda] [--dtypes float16,tf32,float32] [--repeats 3]`,
with the extras `worker` and `embedded` installed.

The whole service runs as `verdicts up` starts it: Postgres, Valkey, API, one worker. Its catalogue has one paper, and
for each dtype a driver over all 9,815 real pairs of MNLI validation matched. The checkpoint is one of the shapes of
benchmarks/evaluator.py with random weights and the tokenizer of the shipped MiniLM, or `minilm`, the shipped adapter,
merged. Random weights say nothing about how many examples a trained model sends to the re-check.

Time runs from before the POST until a poll, every 10 ms, finds the run ended; the seconds of the stages are the
verdict's own. The first run of a dtype pays for imports, loading, and the building of kernels; later ones find the
model warm, and the tokens and the trial of a lower dtype known.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from evaluator.report import machine
from evaluator.shapes import CATALOGUE, ROOT, SHAPES, base_folder, write_checkpoint

RESULTS = Path(__file__).parent / "results"
PORT = 18_471
PATIENCE_S = 400
_PAPER = """arxiv_id = "draft:benchmark"
title = "A benchmark"
abstract = "None."
primary_category = "cs.CL"
withdrawn = false

[[versions]]
version = 1
"""


def main() -> int:
    """Measure; the status for the shell."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shape", default="large", choices=SHAPES)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtypes", default="float16,tf32,float32")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each dtype after the first")
    stamp = datetime.now(UTC).strftime("%Y-%m-%d-%H%M")
    parser.add_argument("--output", type=Path, default=RESULTS / f"from-post-{stamp}.json")
    options = parser.parse_args()
    dtypes = options.dtypes.split(",")
    document: dict[str, Any] = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(0),
        "options": {name: value for name, value in vars(options).items() if name != "output"},
        "random_weights": not SHAPES[options.shape].real,
        "dtypes": {},
    }
    with TemporaryDirectory(prefix="from-post-") as place:
        folder = Path(place)
        _write_catalogue(folder / "catalogue", options.shape, dtypes)
        with _service(folder, options.device) as (client, key):
            for dtype in dtypes:
                runs = [_run(client, key, f"benchmark-{dtype}") for _ in range(options.repeats + 1)]
                document["dtypes"][dtype] = runs
                options.output.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    print(f"written to {options.output.name}")
    return 0


def _write_catalogue(folder: Path, shape: str, dtypes: list[str]) -> None:
    for name in ("papers", "drivers", "data", "checkpoint"):
        (folder / name).mkdir(parents=True)
    (folder / "papers" / "draft-benchmark.toml").write_text(_PAPER)
    shutil.copy(CATALOGUE / "data" / "mnli_validation_matched.parquet", folder / "data")
    write_checkpoint(SHAPES[shape], folder / "checkpoint")
    # Real texts need a tokenizer of real words; its ids are all within the shapes' vocabulary.
    shutil.copy(base_folder() / "tokenizer.json", folder / "checkpoint")
    table = (CATALOGUE / "drivers" / "minilm-mnli-full.toml").read_text("utf-8")
    data = table[table.index("[data]") :]
    for dtype in dtypes:
        (folder / "drivers" / f"benchmark-{dtype}.toml").write_text(
            f'slug = "benchmark-{dtype}"\nversion = "0.1.0"\ndescription = "A benchmark."\npaper = "draft:benchmark"\n'
            'kind = "PRE"\n\n[claim]\nsection = "Benchmark"\nrow = "MNLI"\nquoted_text = "33.3"\nnotes = "None."\n'
            f'column = "{dtype}"\nreported_value = "33.3"\nunit = "percent"\nmetric = "accuracy"\nn_items = 9815\n\n'
            '[model]\nkind = "sequence-classification"\nsource = { path = "checkpoint" }\nmax_length = 128\n\n'
            f'[inference]\ndtype = "{dtype}"\n\n{data}'
        )


@contextmanager
def _service(folder: Path, device: str) -> Iterator[tuple[httpx.Client, str]]:
    settings = {
        "VERDICTS_CATALOGUE_DIR": str(folder / "catalogue"),
        "VERDICTS_DEVICE": device,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    command = [sys.executable, "-m", "app.cli"]
    where = ["--data-dir", str(folder / "data")]
    out = (folder / "out").open("w")
    up = subprocess.Popen(
        [*command, "up", "--port", str(PORT), *where], env=os.environ | settings, stdout=out, stderr=out, cwd=ROOT
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{PORT}", timeout=60) as client:
            _until_ready(client, up, folder / "out")
            made = [*command, "keys", "create", "--name", "benchmark", "--scope", "reproduce", *where]
            key = subprocess.run(made, check=True, capture_output=True, text=True, env=os.environ | settings, cwd=ROOT)
            yield client, key.stdout.strip()
    finally:
        up.send_signal(signal.SIGTERM)
        up.wait(timeout=60)
        out.close()


def _until_ready(client: httpx.Client, up: subprocess.Popen[bytes], output: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and up.poll() is None:
        try:
            if client.get("/readyz").status_code == httpx.codes.OK and client.get("/v1/drivers").json()["items"]:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    msg = f"the service did not come up: {output.read_text()[-2000:]}"
    raise RuntimeError(msg)


def _run(client: httpx.Client, key: str, driver: str) -> dict[str, Any]:
    began = time.perf_counter()
    asked = client.post(
        "/v1/papers/draft:benchmark/reproductions",
        json={"driver": driver, "force": True},
        headers={"Authorization": f"Bearer {key}"},
    )
    asked.raise_for_status()
    accepted_s = time.perf_counter() - began
    path = asked.headers["Location"]
    while (run := client.get(path).json())["finished_at"] is None:
        if time.perf_counter() - began > PATIENCE_S:
            msg = f"the run did not end: {run}"
            raise RuntimeError(msg)
        time.sleep(0.01)
    took = time.perf_counter() - began
    if run["state"] != "succeeded":
        raise RuntimeError(json.dumps(run["error"]))
    evidence = client.get(f"/v1/verdicts/{run['verdict_id']}/evidence").raise_for_status().json()
    facts = evidence["facts"]
    kept = ("calibration", "audit", "fallback_to_float32", "rechecked", "batches", "batch_tokens", "tokens", "name")
    found = {
        "seconds": round(took, 3),
        "accepted_s": round(accepted_s, 3),
        "stages": facts["seconds"],
        "inference": {name: facts["inference"].get(name) for name in (*kept, "tried_in_an_earlier_run")},
    }
    print(
        f"{driver}: {found['seconds']} s, {found['stages']}, re-checked {found['inference']['rechecked']}", flush=True
    )
    return found


if __name__ == "__main__":
    sys.exit(main())
