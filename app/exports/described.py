"""What was measured, in the words of others: which model, which data, which files."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from app.exports.subject import Subject

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
HUB: Final = "https://huggingface.co/"


@dataclass(frozen=True, slots=True)
class Model:
    """What gave the answers; `hub` is its repository there and `revision` the commit, where it came from there."""

    name: str
    hub: str | None = None
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class Data:
    """What was measured on."""

    name: str
    split: str | None = None
    hub: str | None = None
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class Digest:
    """A file and the SHA-256 of its bytes."""

    name: str
    sha256: str


def model_of(subject: Subject) -> Model:
    """The measured model: of a driver of ours the checkpoint; else the row of the paper that the claim stands in."""
    spec = (subject.driver or {}).get("model") or {}
    source = spec.get("source") or {}
    if spec.get("kind") == "predictions" or not source:
        return Model(subject.claim.row)
    if "hub" in source:
        return Model(str(source["hub"]), str(source["hub"]), source.get("revision"))
    return Model(str(source.get("path", subject.claim.row)).rstrip("/").rpartition("/")[2] or subject.claim.row)


def data_of(subject: Subject) -> Data:
    """The measured data: a driver's split; else the column of the paper that the claim stands in."""
    spec = (subject.driver or {}).get("data") or {}
    if not spec:
        return Data(subject.claim.column)
    source = spec.get("source") or {}
    return Data(str(spec["name"]), str(spec["split"]), source.get("hub"), source.get("revision"))


def files_of(subject: Subject) -> Iterator[Digest]:
    """The files that went in, as the run itself found them: data, weights, tokenizer, released predictions."""
    facts = subject.facts
    data, model = _mapping(facts.get("data")), _mapping(facts.get("model"))
    yield from _digest("data", _file_name(_mapping(data.get("source")), "split"), data.get("file_sha256"))
    yield from _digest(
        "released-predictions", _file_name(_mapping(model.get("source")), "predictions"), model.get("file_sha256")
    )
    for folder, name in (("weights", "weights_sha256"), ("base-weights", "base_weights_sha256")):
        for file, digest in sorted(_mapping(model.get(name)).items()):
            yield from _digest(folder, str(file), digest)
    tokenizer = _mapping(model.get("tokenizer"))
    yield from _digest("tokenizer", str(tokenizer.get("file", "tokenizer")), tokenizer.get("sha256"))


def counts_of(content: Mapping[str, Any] | None) -> tuple[int, int] | None:
    """How many items and how many correct ones, by the confusion matrix or posted counts; None where neither is."""
    if not content:
        return None
    confusion = content.get("confusion")
    if confusion:
        return sum(map(sum, confusion)), sum(row[i] for i, row in enumerate(confusion))
    counts = _mapping(content.get("facts")).get("counts")
    return (sum(one["n"] for one in counts), sum(one["correct"] for one in counts)) if counts else None


def in_unit(value: float, unit: str) -> float:
    """A share of 1 in the unit that the claim is printed in, without the noise of the multiplication."""
    return round(value * 100, 10) if unit == "percent" else value


def value_of(subject: Subject) -> float:
    """The measured value in the claim's unit: the estimate, or the score where no estimate is known."""
    decision = subject.verdict.decision or {}
    return in_unit(decision.get("estimate", subject.verdict.score), subject.claim.unit)


def interval_of(subject: Subject) -> list[float] | None:
    """The 95 % interval in the claim's unit; None where it is not known, or where every item was measured."""
    interval = (subject.verdict.decision or {}).get("interval_95")
    if not interval or interval[0] == interval[1]:
        return None
    return [in_unit(end, subject.claim.unit) for end in interval]


def _digest(folder: str, file: str, digest: object) -> Iterator[Digest]:
    if isinstance(digest, str) and _SHA256.fullmatch(digest):
        yield Digest(f"{folder}/{file}", digest)


def _file_name(source: Mapping[str, Any], default: str) -> str:
    return str(source.get("path") or source.get("hub") or default).rstrip("/").rpartition("/")[2]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
