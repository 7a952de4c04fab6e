"""Turn what was measured into a table, the goals and a JSON document."""

import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from evaluator.rounds import Measured, Rounds
from evaluator.shapes import Shape
from evaluator.texts import Pairs
from evaluator.work import least_operations
from workers.runtime.precision import AUDIT_EXAMPLES, CALIBRATION_EXAMPLES

REFERENCE: Final = "pipeline, batch 1"
STRICT: Final = "ours float32"
QUICK: Final = "ours bf16 + re-check"
_RATES: Final = {QUICK: "bfloat16", "ours float16 + re-check": "float16", "ours TF32 + re-check": "TF32"}
"""The matrix products that a peer's operations are held against, where they are not those of float32."""
TIE: Final = 1e-4
SET_SIZE: Final = 9815
"""Examples of MNLI validation matched: over so many, a run's calibration is spread."""
_PACKAGES: Final = (
    "torch",
    "transformers",
    "sentence-transformers",
    "onnxruntime",
    "openvino",
    "triton",
    "flashdeberta",
    "disentangled-flash",
)


@dataclass(frozen=True, slots=True)
class Line:
    """One peer's figures. Rates are of CPU time on a CPU and of wall-clock time on a GPU; best of the repeats."""

    name: str
    examples_per_s: float
    tokens_per_s: float
    times_pipeline: float | None
    ours_is: float | None
    peak_share: float | None
    padding: float | None
    peak_mib: int
    differ: int
    largest_change: float


def lines(shape: Shape, pairs: Pairs, rounds: Rounds, *, device: str) -> list[Line]:
    """The figures of all peers."""
    by_name = {peer.name: peer for peer in rounds.peers}
    reference = by_name.get(REFERENCE, rounds.peers[0])
    strict, rates = by_name.get(STRICT), best_rates(rounds)
    operations = least_operations(shape, pairs.lengths)
    found = []
    for peer in rounds.peers:
        took = seconds(peer, len(pairs.texts), device=device)
        differ, change = compare(peer.logits, reference.logits)
        real = sum(pairs.lengths)
        passed = peer.facts.get("tokens") or None
        found.append(
            Line(
                name=peer.name,
                examples_per_s=len(pairs.texts) / took,
                tokens_per_s=real / took,
                times_pipeline=seconds(reference, len(pairs.texts), device=device) / took,
                ours_is=took / seconds(strict, len(pairs.texts), device=device) if strict else None,
                peak_share=operations / took / _rate(rates, _RATES.get(peer.name, "float32"), device),
                padding=1 - real / passed if passed else None,
                peak_mib=peer.peak_bytes >> 20,
                differ=differ,
                largest_change=change,
            )
        )
    return found


def _rate(rates: dict[str, float], dtype: str, device: str) -> float:
    """Of the matrix products in `dtype`; on a CPU by the faster route, and at the least that of float32."""
    return rates[dtype] if device != "cpu" else max(rates["float32 blocked"], rates[f"{dtype} blocked"])


def seconds(peer: Measured, count: int, *, device: str) -> float:
    """The least time of the repeats; a calibration is spread over a full set, as in a run over all of it.

    There its examples are answered by it, while the repeats answer all of theirs, whose sample it would be wholly.
    """
    least = min(peer.cpu_s if device == "cpu" else peer.wall_s)
    if "calibration_s" not in peer.facts:
        return least
    tried = CALIBRATION_EXAMPLES + AUDIT_EXAMPLES
    return (least * (SET_SIZE - tried) + peer.facts["calibration_s"] * count) / SET_SIZE


def best_rates(rounds: Rounds) -> dict[str, float]:
    """The best rate of each kind of matrix product, between all rounds."""
    return {kind: max(rates[kind] for rates in rounds.rates) for kind in rounds.rates[0]}


def compare(logits: np.ndarray, reference: np.ndarray) -> tuple[int, float]:
    """How many argmaxes differ where the reference is no tie, and the largest change of a logit."""
    top = np.sort(reference, axis=1)
    clear = top[:, -1] - top[:, -2] >= TIE
    differ = (logits.argmax(axis=1) != reference.argmax(axis=1)) & clear
    return int(differ.sum()), float(np.abs(logits - reference).max())


def goals(shape: Shape, found: list[Line], weights_bytes: int) -> list[tuple[str, float | None, float, bool]]:
    """Each goal of a CPU: what, measured, wanted, whether more is better."""
    by_name = {line.name: line for line in found}
    strict, quick = by_name.get(STRICT), by_name.get(QUICK)
    if strict is None:
        return []
    cross = by_name.get("CrossEncoder, batch 32")
    wanted = (4.0, 1.8) if shape.real else (6.0, 2.7)
    checks: list[tuple[str, float | None, float, bool]] = [
        ("times pipeline, batch 1", strict.times_pipeline, wanted[0], True),
        ("times CrossEncoder", cross.ours_is if cross else None, wanted[1], True),
        ("largest change of a logit", strict.largest_change, 1e-4, False),
        ("argmaxes that differ", float(strict.differ), 0.0, False),
        ("peak MiB", float(strict.peak_mib), 1.25 * weights_bytes / (1 << 20) + 1024, False),
    ]
    if not shape.real:
        others = [by_name[name] for name in ("ONNX Runtime float32", "OpenVINO float32") if name in by_name]
        checks += [(f"times {line.name}", line.ours_is, 1.0, True) for line in others]
        checks.append(("share of the matrix-product rate", strict.peak_share, 0.9, True))
    if quick is not None:
        checks.append(("bf16 with re-check: times pipeline", quick.times_pipeline, 11.0, True))
        checks.append(("bf16 with re-check: argmaxes that differ", float(quick.differ), 0.0, False))
    return checks


def reached(measured: float | None, wanted: float, *, more: bool) -> str:
    """`reached`, `missed`, or `not measured`."""
    if measured is None:
        return "not measured"
    return "reached" if (measured >= wanted if more else measured <= wanted) else "missed"


def print_table(found: list[Line], failed: dict[str, str]) -> None:
    """The figures for people."""
    heads = ("", "ex/s", "tok/s", "x pipe 1", "ours is", "of peak", "padding", "peak MiB", "differ", "max change")
    rows = [heads, *(_cells(line) for line in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    for row in rows:
        cells = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        print(row[0].ljust(widths[0]), *cells, sep="  ")
    for name, reason in failed.items():
        print(f"{name}: {reason}")


def _cells(line: Line) -> tuple[str, ...]:
    def shown(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    return (
        line.name,
        shown(line.examples_per_s, ".1f"),
        shown(line.tokens_per_s, ".0f"),
        shown(line.times_pipeline, ".2f"),
        shown(line.ours_is, ".2f") + "x" if line.ours_is else "-",
        shown(line.peak_share, ".1%"),
        shown(line.padding, ".1%"),
        str(line.peak_mib),
        str(line.differ),
        shown(line.largest_change, ".1e"),
    )


def machine(threads: int) -> dict[str, Any]:
    """What the figures were measured on."""
    info = Path("/proc/cpuinfo")
    facts = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line) if info.exists() else {}
    facts = {key.strip(): value.strip() for key, value in facts.items()}
    flags = set(facts.get("flags", "").split())
    return {
        "cpu": facts.get("model name", platform.machine()),
        "cores": torch.get_num_threads() if not facts else int(facts.get("processor", 0)) + 1,
        "threads": threads,
        "extensions": sorted(flags & {"avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_tile"}),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
