"""An attestation checked offline: its signature, the digests of the files beside it, and the decision once more.

Needs no database and no network. What it trusts is the public key; what it does not trust is the file.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from math import isclose
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import ValidationError
from securesystemslib.signer import Key

from app.exports.predicate import PREDICATE_TYPE, PREDICTIONS, AttestedDecision, Predicate, Statement
from app.exports.signing import SignatureError, open_envelope
from app.statistics.metrics import MetricName
from app.verdicts.decide import (
    RULE_VERSION,
    Decision,
    Measurement,
    ReportedValue,
    Stratum,
    decide,
)
from app.verdicts.decide_metric import MetricMeasurement, decide_metric
from app.verdicts.evidence import Confusion, measurement_of
from app.verdicts.schemas import LARGEST_SPLIT

LARGEST_FILE: Final = 16 * 1024 * 1024
_LONGEST_LINE: Final = 1024 * 1024
_BLOCK: Final = 1024 * 1024
_CLOSE: Final = 1e-9
"""Numerical libraries of other versions may differ in the last digits."""
_CONFIDENCE_DIGIT: Final = 1.0001e-4
"""Confidence is rounded to four decimals; where rounding turns, the last of them may differ by one."""


class AttestationError(Exception):
    """It is no attestation of a verdict that can be checked here."""


class DigestMismatchError(Exception):
    """A file is not the one that the attestation is about."""


class RecomputationError(Exception):
    """The evidence does not give what the attestation says."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found to hold. `signed_by` is the key's id, or None where no signature was checked."""

    predicate: Predicate
    signed_by: str | None
    files: tuple[str, ...]
    """Names of the subjects whose bytes were compared."""
    recounted: bool
    """Whether the counts were taken anew from the predictions; else they are those that the attestation states."""


def verify(path: Path, key: Key | None, predictions: Path | None = None, files: Iterable[Path] = ()) -> Verified:
    """Check the attestation in the file, in the order in which a reader would stop.

    Its signature, where a key is given; that the predictions (`predictions.jsonl` beside it, unless named) and the
    other files are those it is about; that the predictions give the counts, and the counts the decision.
    Raises SignatureError, AttestationError, DigestMismatchError, RecomputationError, OSError.
    """
    statement, predicate = _read(path, key)
    digests = {one.name: one.digest.get("sha256", "") for one in statement.subject}
    compared = [_compare(file, digests) for file in files]
    recounted = PREDICTIONS in digests
    if recounted:
        where = predictions or path.with_name(PREDICTIONS)
        if _digest(where) != digests[PREDICTIONS]:
            msg = f"{where} is not the file of the attestation: its SHA-256 is another"
            raise DigestMismatchError(msg)
        compared.append(PREDICTIONS)
        _recount(where, predicate)
    _decide_again(predicate)
    signed_by = key.keyid if key is not None else None
    return Verified(predicate, signed_by, tuple(compared), recounted)


def _read(path: Path, key: Key | None) -> tuple[Statement, Predicate]:
    try:
        return _parse(path, key)
    except ValidationError as error:
        first = error.errors()[0]
        msg = f"{path} is no attestation of a verdict: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise AttestationError(msg) from error
    except (ValueError, RecursionError) as error:
        msg = f"{path} is no attestation of a verdict: {error}"
        raise AttestationError(msg) from error


def _parse(path: Path, key: Key | None) -> tuple[Statement, Predicate]:
    """Raises ValueError for what is no attestation, SignatureError."""
    document = json.loads(path.read_bytes() if path.stat().st_size <= LARGEST_FILE else b"")
    if isinstance(document, dict) and "payload" in document:
        document = json.loads(open_envelope(document, key))
    elif key is not None:
        msg = f"{path} is no envelope: nobody has signed it"
        raise SignatureError(msg)
    statement = Statement.model_validate(document)
    if statement.predicate_type != PREDICATE_TYPE:
        msg = f"its predicate is {statement.predicate_type!r}, not {PREDICATE_TYPE}"
        raise ValueError(msg)
    return statement, Predicate.model_validate(statement.predicate)


def _compare(file: Path, digests: dict[str, str]) -> str:
    found = _digest(file)
    for name, digest in digests.items():
        if digest == found:
            return name
    msg = f"{file} is none of the files that the attestation is about"
    raise DigestMismatchError(msg)


def _digest(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _recount(path: Path, predicate: Predicate) -> None:
    """Count the predictions. Raises RecomputationError where they give another confusion matrix than the attested."""
    measurement = predicate.measurement
    position = {label: i for i, label in enumerate(measurement.labels or ())}
    pairs: Counter[tuple[int, int]] = Counter()
    with path.open("rb") as file:
        last = -1
        while line := file.readline(_LONGEST_LINE):
            last, gold, predicted = _prediction(line, last)
            try:
                pairs[position[gold], position[predicted]] += 1
            except KeyError as error:
                msg = f"row {last} of the predictions has a label that the attestation does not know"
                raise RecomputationError(msg) from error
    confusion = Confusion.of(tuple(position), [(gold, one, count) for (gold, one), count in pairs.items()])
    if confusion.matrix.tolist() != measurement.confusion:
        msg = "the predictions give another confusion matrix than the attestation states"
        raise RecomputationError(msg)


def _prediction(line: bytes, last: int) -> tuple[int, str, str]:
    try:
        one = json.loads(line)
        row, gold, predicted, correct = one["row"], one["gold"], one["predicted"], one["correct"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        msg = f"what follows row {last} of the predictions is no prediction"
        raise RecomputationError(msg) from error
    named = isinstance(gold, str) and isinstance(predicted, str)
    if not isinstance(row, int) or row <= last or not named or correct is not (gold == predicted):
        msg = f"row {row!r} of the predictions is out of order, or not as correct as it says"
        raise RecomputationError(msg)
    return row, gold, predicted


def _decide_again(predicate: Predicate) -> None:
    """Raises RecomputationError where the rule gives another decision, AttestationError for another rule."""
    stated = predicate.decision
    if stated.rule_version != RULE_VERSION:
        msg = f"it was decided by version {stated.rule_version} of the rule; this program knows version {RULE_VERSION}"
        raise AttestationError(msg)
    try:
        measurement = _measurement(predicate)
        again = _decision(predicate, measurement)
    except ValueError as error:
        msg = f"the counts of the attestation cannot be: {error}"
        raise RecomputationError(msg) from error
    different = list(_differences(predicate, measurement, again))
    if different:
        both = f"{_summary(again)}, and not {_summary(stated)}"
        msg = f"the evidence gives another {', '.join(different)} than the attestation states: {both}"
        raise RecomputationError(msg)


def _decision(predicate: Predicate, measurement: Measurement) -> Decision:
    stated, claim = predicate.decision, predicate.claim
    reported = ReportedValue.from_printed(Decimal(claim.reported_value), claim.unit)
    if stated.metric is MetricName.accuracy:
        return decide(
            reported,
            measurement,
            estimand=stated.estimand,
            margin=stated.delta,
            match=predicate.protocol_match,
            early_stopping=stated.early_stopping,
        )
    counts = predicate.measurement
    positive = None if counts.positive_label is None else (counts.labels or []).index(counts.positive_label)
    matrix = np.array(counts.confusion or [[0]], dtype=np.int64)
    return decide_metric(
        reported,
        MetricMeasurement(stated.metric, matrix, measurement.population or 0, positive),
        estimand=stated.estimand,
        margin=stated.delta,
        match=predicate.protocol_match,
        seed=stated.bootstrap_seed or 0,
    )


def _measurement(predicate: Predicate) -> Measurement:
    stated = predicate.measurement
    if stated.confusion is not None:
        labels, split = tuple(stated.labels or ()), stated.split_label_counts or {}
        if any(len(row) != len(labels) for row in stated.confusion) or len(stated.confusion) != len(labels):
            msg = "the confusion matrix has not a row and a column for each label"
            raise ValueError(msg)
        counts = [(i, j, n) for i, row in enumerate(stated.confusion) for j, n in enumerate(row)]
        measurement = measurement_of(Confusion.of(labels, counts), split, stated.slice_kind)
    else:
        strata = tuple(Stratum(n=one.n, correct=one.correct, total=one.total) for one in stated.counts or ())
        measurement = Measurement(strata=strata)
    if measurement.population is not None and measurement.population > LARGEST_SPLIT:
        msg = f"a split of {measurement.population} items is more than is judged"
        raise ValueError(msg)
    return measurement


def _differences(predicate: Predicate, measurement: Measurement, again: Decision) -> Iterable[str]:
    stated, verdict = predicate.decision, predicate.verdict
    if (measurement.n, measurement.correct) != (predicate.measurement.n, predicate.measurement.correct):
        yield "count"
    if not again.status == stated.status == verdict.status:
        yield "status"
    confidences = (stated.confidence, verdict.confidence)
    if any(not isclose(again.confidence, one, rel_tol=0, abs_tol=_CONFIDENCE_DIGIT) for one in confidences):
        yield "confidence"
    for name in ("score", "estimate", "interval_90", "interval_95", "reported", "margin", "p_inside", "ceiling"):
        both = zip(_numbers(getattr(again, name)), _numbers(getattr(stated, name)), strict=True)
        if not all(_same(one, other) for one, other in both):
            yield name
    if again.direction != stated.direction or again.interval_method != stated.interval_method:
        yield "direction or kind of interval"


def _numbers(value: Any) -> tuple[float, ...]:  # noqa: ANN401  # a number or a pair of them
    return tuple(value) if isinstance(value, tuple) else (value,)


def _same(one: float, other: float) -> bool:
    return isclose(one, other, rel_tol=_CLOSE, abs_tol=_CLOSE)


def _summary(one: Decision | AttestedDecision) -> str:
    return f"{one.status}, confidence {one.confidence:g}, estimate {one.estimate:.6f}"
