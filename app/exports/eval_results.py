"""Evaluation results as Hugging Face reads them from `.eval_results/*.yaml` of a model's repository."""

from typing import Any

from app.core.clock import isoformat
from app.exports.described import counts_of, data_of, interval_of, value_of
from app.exports.errors import DatasetUnknownError
from app.exports.subject import Subject


def eval_results(
    subject: Subject, public_url: str | None, *, dataset_id: str | None, task_id: str | None
) -> list[dict[str, Any]]:
    """One entry. The value is the estimate, or the score where there is none, in the unit of the paper's number.

    The format takes only data sets of the hub: the driver's own, or the one that `dataset_id` names.
    Raises DatasetUnknownError where it is neither.
    """
    verdict, data = subject.verdict, data_of(subject)
    dataset = {"id": dataset_id or data.hub, "task_id": task_id or data.split}
    if dataset["id"] is None or dataset["task_id"] is None:
        detail = (
            f"The evidence names its data {data.name!r}, which is no id of the hub. Say which benchmark it is with "
            "`dataset_id` and `task_id`, e.g. ?dataset_id=nyu-mll/glue&task_id=mnli_matched."
        )
        raise DatasetUnknownError(detail)
    if data.revision is not None and dataset["id"] == data.hub:
        dataset["revision"] = data.revision
    entry: dict[str, Any] = {
        "dataset": dataset,
        "value": value_of(subject),
        "date": isoformat(verdict.computed_at),
    }
    if public_url is not None:
        entry["source"] = {"url": f"{public_url}/v1/verdicts/{verdict.id}", "name": "Paper Verdicts"}
    entry["notes"] = _notes(subject)
    return [entry]


def _notes(subject: Subject) -> str:
    verdict, counts = subject.verdict, counts_of(subject.content)
    parts = [f"verdict {verdict.id}: {verdict.status}", f"protocol {verdict.protocol_match}"]
    parts += [f"n={counts[0]}"] if counts else []
    if (interval := interval_of(subject)) is not None:
        parts.append(f"95 % interval {interval[0]:.6g} to {interval[1]:.6g} {subject.claim.unit}")
    return ", ".join(parts)
