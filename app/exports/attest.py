"""The in-toto statement of a verdict: what it rests on by digest, what it says, and how it was decided."""

import json
from typing import Any

from app.core.clock import isoformat
from app.exports.described import Digest, counts_of, files_of
from app.exports.predicate import PREDICATE_TYPE, STATEMENT_TYPE, Predicate
from app.exports.subject import Subject
from app.verdicts.errors import NoEvidenceError


def statement(subject: Subject, files: list[Digest], public_url: str | None, *, signed: bool) -> bytes:
    """The statement as compact JSON with sorted keys: the same verdict always gives the same bytes.

    `files` are those of the verdict as served: the evidence, and the predictions where there are any. Raises
    NoEvidenceError for a verdict that was imported with its paper document: there is nothing to attest.
    """
    counts = counts_of(subject.content)
    if subject.content is None or subject.verdict.decision is None or counts is None:
        raise NoEvidenceError(subject.verdict.id)
    everything = _distinct([*files, *files_of(subject)])
    document = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": file.name, "digest": {"sha256": file.sha256}} for file in everything],
        "predicateType": PREDICATE_TYPE,
        "predicate": _predicate(subject, counts, public_url, signed=signed).model_dump(mode="json"),
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _distinct(files: list[Digest]) -> list[Digest]:
    """Subjects of a statement have names of their own."""
    return list({file.name: file for file in files}.values())


def _predicate(subject: Subject, counts: tuple[int, int], public_url: str | None, *, signed: bool) -> Predicate:
    verdict, claim = subject.verdict, subject.claim
    return Predicate.model_validate(
        {
            "signed": signed,
            "verdict": {
                "id": verdict.id,
                "url": f"{public_url}/v1/verdicts/{verdict.id}" if public_url else None,
                "kind": verdict.kind,
                "sequence": verdict.sequence,
                "supersedes": verdict.supersedes_id,
                "origin": verdict.origin,
                "agent_version": verdict.agent_version,
                "computed_at": isoformat(verdict.computed_at),
                "status": verdict.status,
                "confidence": verdict.confidence,
            },
            "paper": {"arxiv_id": subject.arxiv_id, "version": subject.paper_version},
            "claim": {
                "id": claim.id,
                "section": claim.section,
                "row": claim.row,
                "column": claim.column,
                "reported_value": format(claim.reported_value, "f"),
                "unit": claim.unit,
                "reported_metric": claim.reported_metric,
                "quoted_text": claim.quoted_text,
                "pdf_page": claim.pdf_page,
                "n_items": claim.n_items,
            },
            "measurement": _measurement(subject, counts),
            "decision": verdict.decision,
            "protocol_match": verdict.protocol_match,
            "protocol_axes": verdict.protocol_axes,
            "driver": subject.driver,
            "environment": {name: fact for name, fact in subject.facts.items() if name not in _COUNTED},
        }
    )


_COUNTED = {"counts", "split_label_counts", "slice_kind", "positive_label"}
"""Facts of posted evidence that the measurement says already."""


def _measurement(subject: Subject, counts: tuple[int, int]) -> dict[str, Any]:
    content, facts = subject.content or {}, subject.facts
    labels = content.get("labels")
    split, kind = facts.get("split_label_counts"), facts.get("slice_kind", "simple")
    if subject.driver is not None:
        split = dict(zip(labels or [], facts["data"]["label_counts"], strict=True))
        kind = subject.driver["slice"]["kind"]
    return {
        "slice_kind": kind,
        "labels": labels,
        "split_label_counts": split,
        "confusion": content.get("confusion"),
        "positive_label": (subject.driver or facts).get("positive_label"),
        "counts": facts.get("counts"),
        "n": counts[0],
        "correct": counts[1],
    }
