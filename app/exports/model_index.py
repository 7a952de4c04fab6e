"""`model-index`, the part of a model card's front matter that holds evaluation results."""

from typing import Any, Final

from app.exports.described import HUB, counts_of, data_of, in_unit, interval_of, model_of, value_of
from app.exports.subject import Subject

_TASK: Final = {"type": "text-classification", "name": "Text Classification"}
"""Of whatever a driver of ours measures."""
_UNKNOWN_TASK: Final = {"type": "other"}
"""Posted and imported verdicts do not say what the items are."""


def model_index(subjects: list[Subject], public_url: str | None) -> dict[str, Any]:
    """The document: one entry a model, one result a verdict, in the order they came.

    The value is the estimate for the split, or the score where no estimate is known, in the unit of the paper's number.
    `verified` and `verifyToken` are Hugging Face's to set.
    """
    by_model: dict[str, list[dict[str, Any]]] = {}
    for subject in subjects:
        by_model.setdefault(model_of(subject).name, []).append(_result(subject, public_url))
    return {"model-index": [{"name": name, "results": results} for name, results in by_model.items()]}


def _result(subject: Subject, public_url: str | None) -> dict[str, Any]:
    data = data_of(subject)
    dataset = {
        "type": data.hub or data.name,
        "name": f"{data.name} ({data.split})" if data.split else data.name,
        "split": data.split,
        "revision": data.revision,
    }
    verdict, claim = subject.verdict, subject.claim
    result: dict[str, Any] = {
        "task": dict(_TASK if subject.driver else _UNKNOWN_TASK),
        "dataset": {name: value for name, value in dataset.items() if value is not None},
        "metrics": [
            {
                "type": claim.reported_metric,
                "value": value_of(subject),
                "name": f"{claim.row}, {claim.column}",
                "args": _details(subject),
            }
        ],
    }
    if public_url is not None:
        result["source"] = {"name": "Paper Verdicts", "url": f"{public_url}/v1/verdicts/{verdict.id}"}
    return result


def _details(subject: Subject) -> dict[str, Any]:
    """What the number is worth: the verdict beside it."""
    verdict, claim = subject.verdict, subject.claim
    counts = counts_of(subject.content)
    details = {
        "verdict": str(verdict.id),
        "status": verdict.status,
        "confidence": verdict.confidence,
        "reported": float(claim.reported_value),
        "unit": claim.unit,
        "score": in_unit(verdict.score, claim.unit),
        "n": counts[0] if counts else None,
        "interval_95": interval_of(subject),
        "protocol_match": verdict.protocol_match,
        "paper": paper_url(subject.arxiv_id),
    }
    return {name: value for name, value in details.items() if value is not None}


def paper_url(arxiv_id: str) -> str:
    """Where arXiv has the paper; a draft's id as it stands."""
    return arxiv_id if arxiv_id.startswith("draft:") else f"https://arxiv.org/abs/{arxiv_id}"


def hub_url(hub: str, revision: str | None, *, dataset: bool) -> str:
    """The address of a repository on the hub, at its commit."""
    return f"{HUB}{'datasets/' if dataset else ''}{hub}" + (f"/tree/{revision}" if revision else "")
