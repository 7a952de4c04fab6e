"""All peers in turn, round after round, so that what disturbs the machine disturbs them all alike."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from evaluator.shapes import ROOT
from evaluator.texts import Pairs


@dataclass(slots=True)
class Measured:
    """What one peer did."""

    name: str
    logits: np.ndarray
    peak_bytes: int
    facts: dict[str, Any]
    cpu_s: list[float] = field(default_factory=list)
    wall_s: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Rounds:
    """What all peers did, and the matrix-product rates that were measured between them."""

    peers: list[Measured]
    rates: list[dict[str, float]]
    failed: dict[str, str]


def run_rounds(
    names: list[str], folder: Path, pairs: Pairs, *, device: str, threads: int, budget: int | None, repeats: int
) -> Rounds:
    """Start every peer, let each answer once to warm up, then `repeats` times in turn, in rotating order."""
    (folder / "pairs.json").write_text(json.dumps(pairs.texts), "utf-8")
    task = {"folder": str(folder), "device": device, "threads": threads, "budget": budget}
    with ExitStack() as stack:
        multiply = stack.enter_context(_Child({**task, "name": "multiply"}, threads))
        multiply.hear()
        children, measured, failed = {}, {}, {}
        for name in names:
            print(f"  loading {name}", file=sys.stderr, flush=True)
            child = stack.enter_context(_Child({**task, "name": name}, threads))
            said = child.hear()
            if said is None:
                failed[name] = f"did not load, or did not answer: {child.end()}"
                continue
            logits = np.load(folder / f"{name}.npy")
            children[name], measured[name] = child, Measured(name, logits, said["peak_bytes"], said["facts"])
        rates = []
        for number in range(repeats):
            rates.append(_rates(multiply))
            failed |= _round(number, children, measured)
            for name in failed:
                # What died in a later round is left out whole: the least of fewer repeats is no fair comparison.
                children.pop(name, None)
                measured.pop(name, None)
        rates.append(_rates(multiply))
    return Rounds(list(measured.values()), rates, failed)


def _rates(multiply: "_Child") -> dict[str, float]:
    said = multiply.ask()
    if said is None:
        msg = f"the measurement of matrix products ended: {multiply.end()}"
        raise RuntimeError(msg)
    rates: dict[str, float] = said["rates"]
    return rates


def _round(number: int, children: dict[str, "_Child"], measured: dict[str, Measured]) -> dict[str, str]:
    """One answer of everybody, in rotated order; those that ended instead, and how."""
    failed = {}
    shift = number % max(1, len(children))
    for name in list(children)[shift:] + list(children)[:shift]:
        print(f"  round {number + 1}: {name}", file=sys.stderr, flush=True)
        said = children[name].ask()
        if said is None:
            failed[name] = f"ended in round {number + 1}: {children[name].end()}"
            continue
        # At once, so that something is known even where the whole is broken off.
        print(f"    {said['wall_s']:.2f} s, CPU {said['cpu_s']:.2f} s", file=sys.stderr, flush=True)
        measured[name].cpu_s.append(said["cpu_s"])
        measured[name].wall_s.append(said["wall_s"])
        measured[name].facts = said["facts"]
    return failed


class _Child:
    """A process that serves one peer."""

    def __init__(self, task: dict[str, Any], threads: int) -> None:
        paths = os.pathsep.join([str(ROOT), str(ROOT / "benchmarks"), os.environ.get("PYTHONPATH", "")])
        settings = {
            "PYTHONPATH": paths,
            "OMP_NUM_THREADS": str(threads),
            "TOKENIZERS_PARALLELISM": str(threads > 1).lower(),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "evaluator.served", json.dumps(task)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **settings, "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"},
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(BrokenPipeError):
            self._process.communicate()

    def hear(self) -> dict[str, Any] | None:
        """Its next line; None where it ended instead."""
        if self._process.stdout is None:
            return None
        line = self._process.stdout.readline()
        return json.loads(line) if line else None

    def ask(self) -> dict[str, Any] | None:
        """One more round; None where the process ended instead."""
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.write("\n")
                self._process.stdin.flush()
        return self.hear()

    def end(self) -> str:
        """How it ended; a process that the kernel kills for memory ends by signal 9."""
        status = self._process.wait(timeout=60)
        return f"signal {-status}" if status < 0 else f"exit status {status}"
