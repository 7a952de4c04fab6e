"""The peak resident memory of a run: loading, all of MNLI-m tokenised, and batches up to the longest there are.

Usage: `python benchmarks/peak_memory.py [--shape large] [--dtype float32] [--batches 6]`, with the worker extra.

A run of the whole split goes through the same batches again and again; what they hold at once depends on the longest
examples in them. So the split is loaded, tokenised and planned whole, as a run does, and then the batches with the most
tokens squared are predicted, longest first, and as many others: what batches hold at once is reached without the hours
that v3-large takes on a small machine. What grows from batch to batch (embeddings that are read, products that are
compiled for a shape) is not: `--batches 0` predicts all. In bfloat16 every margin up to 0.5 is run again in float32,
as after a trial. Bound: 1.25 times the weights plus 1 GiB, of the whole resident memory (VmHWM), mapped files included.
"""

import argparse
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evaluator.report import machine
from evaluator.shapes import ROOT, SHAPES, write_checkpoint

RESULTS = Path(__file__).parent / "results"

_CHILD = """
import json, pathlib, re, sys
import torch
from app.protocol.driver import ClassifierModel, DType, FolderSource
from evaluator.shapes import LABELS, SHAPES
from evaluator.texts import MAX_LENGTH, sample_pairs
from workers.runtime.batching import default_budget, plan_batches
from workers.runtime.classifier import check_model, load_classifier
from workers.runtime.devices import make_deterministic
from workers.runtime.lanes import lanes_of
from workers.runtime.predictor import Predictor
from workers.runtime.recheck import NO_RECHECK, Recheck
folder, shape, dtype = pathlib.Path(sys.argv[1]), SHAPES[sys.argv[2]], DType(sys.argv[3])
most, threads = int(sys.argv[4]), int(sys.argv[5])
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]) << 10
torch.set_num_threads(threads or torch.get_num_threads())
make_deterministic(0)
pairs = sample_pairs(shape, 9815, seed=20261123)
marks = {"imports and texts": peak()}
spec = ClassifierModel(kind="sequence-classification", source=FolderSource(path=str(folder)), max_length=MAX_LENGTH)
checked = check_model(spec, root=folder, cache=folder)
classifier = load_classifier(checked, LABELS, device=torch.device("cpu"), dtype=dtype)
marks["loaded"] = peak()
firsts, seconds = [one for one, _ in pairs.texts], [two for _, two in pairs.texts]
examples = classifier.tokenizer.encode(firsts, seconds).examples
lengths = [len(one) for one in examples]
budget = default_budget("cpu", classifier.facts.parameters)
plan = plan_batches(lengths, budget=budget, seed=0)
ranked = sorted(plan, key=lambda batch: -sum(lengths[at] ** 2 for at in batch))
chosen = ranked if most == 0 else ranked[:most] + plan[:most]
lanes = lanes_of(torch.device("cpu"), classifier.facts.backend)
predictor = Predictor(classifier, lanes)
recheck = NO_RECHECK if dtype is DType.float32 else Recheck(0.5, budget)
for _ in predictor.run(examples, recheck.groups(chosen), Predictor.quick_logits, recheck):
    pass
marks["predicted"] = peak()
print(json.dumps({"peaks": marks, "batches": len(chosen), "of": len(plan), "longest": max(lengths),
    "examples": sum(map(len, chosen)), "halvings": predictor.counts.halvings, "batches_at_once": lanes.count,
    "rechecked": predictor.counts.rechecked}))
"""


def main() -> int:
    """Measure one shape; status 1 where the bound is passed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shape", default="large", choices=SHAPES)
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--batches", type=int, default=6)
    parser.add_argument("--threads", type=int, default=0, help="0: as many as torch takes, which is how a worker runs")
    stamp = datetime.now(UTC).strftime("%Y-%m-%d-%H%M")
    parser.add_argument("--output", type=Path, default=RESULTS / f"peak-memory-{stamp}.json")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="peak-memory-") as place:
        write_checkpoint(SHAPES[options.shape], Path(place))
        weights = (Path(place) / "model.safetensors").stat().st_size
        weights //= 1 if options.dtype == "float32" else 2
        script = [sys.executable, "-c", _CHILD, place, options.shape, options.dtype, str(options.batches)]
        script.append(str(options.threads))
        paths = f"{ROOT}:{ROOT / 'benchmarks'}"
        done = subprocess.run(script, check=True, capture_output=True, text=True, env={"PYTHONPATH": paths})
    found: dict[str, Any] = json.loads(done.stdout)
    bound, peak = 1.25 * weights + (1 << 30), found["peaks"]["predicted"]
    for stage, reached in found["peaks"].items():
        print(f"{stage}: {reached / 2**20:.0f} MiB at the peak so far")
    print(
        f"{found['batches']} of {found['of']} batches, {found['examples']} examples, longest {found['longest']} tokens"
    )
    print(f"goal: {peak / 2**20:.0f} <= {bound / 2**20:.0f} MiB: {'reached' if peak <= bound else 'missed'}")
    document = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(options.threads),
        **found,
    }
    facts = {"shape": options.shape, "dtype": options.dtype, "weights_bytes": weights, "bound_bytes": bound}
    options.output.write_text(json.dumps(document | facts, indent=1) + "\n", "utf-8")
    return int(peak > bound)


if __name__ == "__main__":
    sys.exit(main())
