"""The evaluator against its peers: one run, interleaved, on the same checkpoint and the same texts.

Usage: `python benchmarks/evaluator.py [--shapes minilm,xsmall,base,large] [--quick]`, with the worker extra and
sentence-transformers installed; ONNX Runtime and OpenVINO take part where `onnx` and they are installed, FlashDeBERTa
where it and a GPU are there.

How it measures

- Each peer runs in a process of its own, answers all texts once to warm up, and then `--repeats` times in turn with the
  others, in rotating order. Ratios are of the least CPU time of the repeats (on a GPU: wall-clock time). With one
  thread, the default, CPU time is work; with more it also counts the waiting at barriers, which grows when other
  processes are about; ours has none, because each thread has a batch of its own.
- Everybody starts from texts: tokenising counts, planning counts. Ours goes through the product's own parts (checked
  checkpoint, tokenizer.json, planned batches of a token budget, re-check).
- "ours is" says how many times the speed of a peer ours in strict float32 has.
- "of peak" is the least number of operations (see evaluator/work.py) per second, over the best rate of a matrix
  product of the same dtype that the same run measured, by either route (plain, or with blocked weights), by one
  thread or by all. Operations are counted as products by the textbook need them, so Strassen's products, which need an
  eighth fewer, can pass 100 %.
- "padding" is the share of padding among the tokens that passed through the model. "peak MiB" is anonymous memory
  while loading and answering: file pages are the page cache's.
- "differ" counts argmaxes that are not those of transformers.pipeline at batch 1, where its margin is at least 1e-4.
- bf16 with re-check is calibrated and audited on up to 1,024 examples in each run; that cost is spread over 9,815
  examples, the set that a run has. Where the sample is smaller, the cost is scaled up to 1,024.
- `minilm` is the shipped adapter, merged, on real MNLI pairs; it is also held against the stored reference logits. The
  DeBERTa-v3 shapes have random weights, because none can be downloaded here: logits are scaled to the deviation of a
  trained classifier, and the texts are random words with the token counts that the shipped tokenizer gives for the
  same MNLI pairs. Random weights say nothing about how many examples a trained model sends to the re-check.

The exit status is 1 where strict float32 disagrees with the reference outside ties, or moves a logit by more than 1e-4.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from evaluator.peers import PEERS, missing
from evaluator.report import (
    STRICT,
    Line,
    best_rates,
    compare,
    goals,
    lines,
    machine,
    print_table,
    reached,
)
from evaluator.rounds import Rounds, run_rounds
from evaluator.shapes import SHAPES, Shape, write_checkpoint
from evaluator.texts import Pairs, sample_pairs

RESULTS = Path(__file__).parent / "results"
COUNTS = {"minilm": 2048, "xsmall": 768, "base": 384, "large": 192}
QUICK_COUNTS = {"minilm": 256, "xsmall": 128, "base": 64, "large": 32}
LARGEST_CHANGE = 1e-4


def main() -> int:
    """Measure the chosen shapes; the status for the shell."""
    options = _options()
    device = torch.device(options.device)
    document: dict[str, Any] = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(options.threads),
        "options": {name: value for name, value in vars(options).items() if name != "output"},
        "shapes": {},
    }
    for name in options.shapes.split(","):
        document["shapes"][name] = _measure(SHAPES[name], options, device)
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    print(f"\nwritten to {options.output.name}")
    return int(any(result["wrong"] for result in document["shapes"].values()))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shapes", default=",".join(SHAPES), help="comma-separated, of: " + ", ".join(SHAPES))
    parser.add_argument("--examples", type=int, help="examples of each shape; 9815 is the whole set")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch-tokens", type=int, help="token budget of our batches, instead of the product's own")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--without", action="append", default=[], help="leave a peer out, by its name in the table")
    parser.add_argument("--quick", action="store_true", help="few examples, one repeat: does it work, not how fast")
    stamp = datetime.now(UTC).strftime("%Y-%m-%d-%H%M")
    parser.add_argument("--output", type=Path, default=RESULTS / f"evaluator-{stamp}.json")
    return parser.parse_args()


def _measure(shape: Shape, options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    counts = QUICK_COUNTS if options.quick else COUNTS
    pairs = sample_pairs(shape, options.examples or counts[shape.name], seed=20261123)
    with TemporaryDirectory(prefix="evaluator-") as place:
        folder = Path(place)
        write_checkpoint(shape, folder)
        weights_bytes = (folder / "model.safetensors").stat().st_size
        rounds, failed = _answered(shape, pairs, folder, options, device)
    found = lines(shape, pairs, rounds, device=device.type)
    _print_head(shape, pairs.lengths, best_rates(rounds))
    print_table(found, failed)
    checks = goals(shape, found, weights_bytes) if device.type == "cpu" else []
    for what, measured, wanted, more in checks:
        shown = "-" if measured is None else f"{measured:.4g}"
        print(f"  goal: {what} {'>=' if more else '<='} {wanted:.4g}: {shown}, {reached(measured, wanted, more=more)}")
    golden = _against_stored(pairs, rounds)
    ours = next((line for line in found if line.name == STRICT), None)
    return {
        "examples": len(pairs.lengths),
        "tokens": sum(pairs.lengths),
        "weights_bytes": weights_bytes,
        "random_weights": not shape.real,
        "load": os.getloadavg(),
        "matrix_product_rates": best_rates(rounds),
        "peers": [asdict(line) for line in found],
        "seconds": {peer.name: {"cpu": peer.cpu_s, "wall": peer.wall_s} for peer in rounds.peers},
        "facts": {peer.name: peer.facts for peer in rounds.peers},
        "left_out": failed,
        "goals": [
            {"goal": what, "measured": value, "wanted": wanted, "result": reached(value, wanted, more=more)}
            for what, value, wanted, more in checks
        ],
        "stored_reference": golden and {"differ": golden[0], "largest_change": golden[1]},
        "wrong": STRICT in failed or _strays(ours) or bool(golden and golden[0]),
    }


def _strays(ours: Line | None) -> bool:
    return ours is not None and (ours.differ > 0 or ours.largest_change > LARGEST_CHANGE)


def _answered(
    shape: Shape, pairs: Pairs, folder: Path, options: argparse.Namespace, device: torch.device
) -> tuple[Rounds, dict[str, str]]:
    """What all peers did that could take part, and why the others could not."""
    reasons = {name: missing(name, device) for name in PEERS}
    if shape.real:
        reasons |= {name: "not a DeBERTa" for name in PEERS if name.startswith(("FlashDeBERTa", "DisentangledFlash"))}
    names = [name for name, reason in reasons.items() if reason is None and name not in options.without]
    failed = {name: reason for name, reason in reasons.items() if reason is not None}
    names, failed = _exported(names, failed, folder)
    rounds = run_rounds(
        names,
        folder,
        pairs,
        device=str(device),
        threads=options.threads,
        budget=options.batch_tokens,
        repeats=1 if options.quick else options.repeats,
    )
    return rounds, failed | rounds.failed


def _against_stored(pairs: Pairs, rounds: Rounds) -> tuple[int, float] | None:
    strict = next((peer for peer in rounds.peers if peer.name == STRICT), None)
    if pairs.golden is None or strict is None:
        return None
    golden = compare(strict.logits, pairs.golden)
    print(f"  stored reference logits: {golden[0]} argmaxes differ, largest change {golden[1]:.1e}")
    return golden


def _exported(names: list[str], failed: dict[str, str], folder: Path) -> tuple[list[str], dict[str, str]]:
    """Write the ONNX file where a peer reads it; leave those peers out where it cannot be written."""
    readers = [name for name in names if name.startswith(("ONNX", "OpenVINO"))]
    if not readers:
        return names, failed
    script = [sys.executable, "-m", "evaluator.export", str(folder)]
    done = subprocess.run(script, check=False, cwd=Path(__file__).parent, capture_output=True, text=True)
    if done.returncode == 0:
        return names, failed
    reason = f"no ONNX file: {done.stderr.strip().splitlines()[-1][:200]}" if done.stderr.strip() else "no ONNX file"
    return [name for name in names if name not in readers], failed | dict.fromkeys(readers, reason)


def _print_head(shape: Shape, lengths: list[int], rates: dict[str, float]) -> None:
    kind = "trained weights, real pairs" if shape.real else "RANDOM weights, random words at real lengths"
    mean = sum(lengths) / len(lengths)
    print(f"\n{shape.name}: {kind}; {len(lengths)} examples, {mean:.1f} tokens on average")
    print("matrix products, GFLOP/s: " + ", ".join(f"{kind} {rate / 1e9:.0f}" for kind, rate in rates.items()))


if __name__ == "__main__":
    sys.exit(main())
