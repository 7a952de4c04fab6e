"""A verdict in one of the formats, as bytes with their media type."""

import json
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy.orm import Session

from app.exports.attest import statement
from app.exports.described import Digest
from app.exports.dumping import dump
from app.exports.eval_results import eval_results
from app.exports.formats import ENVELOPE, JSON_LD, STATEMENT, YAML, ExportFormat
from app.exports.model_index import model_index
from app.exports.predicate import EVIDENCE, PREDICTIONS
from app.exports.ro_crate import ro_crate
from app.exports.signing import SigningKey
from app.exports.subject import Subject
from app.verdicts.predictions import predictions_digest
from app.verdicts.queries import read_evidence


@dataclass(frozen=True, slots=True)
class Service:
    """What exports say of the service that makes them."""

    public_url: str | None
    license_url: str | None
    key: SigningKey | None


@dataclass(frozen=True, slots=True)
class Benchmark:
    """The data set as the Hugging Face hub knows it, where the reader says so."""

    dataset_id: str | None = None
    task_id: str | None = None


def render(
    session: Session, wanted: ExportFormat, subjects: list[Subject], service: Service, benchmark: Benchmark
) -> tuple[bytes, str]:
    """The document and its media type; only a model index holds more than the first subject.

    Raises NoEvidenceError, DatasetUnknownError.
    """
    subject = subjects[0]
    if wanted is ExportFormat.model_index:
        return dump(model_index(subjects, service.public_url)), YAML
    if wanted is ExportFormat.eval_results:
        entries = eval_results(subject, service.public_url, dataset_id=benchmark.dataset_id, task_id=benchmark.task_id)
        return dump(entries), YAML
    files = served_files(session, subject)
    if wanted is ExportFormat.ro_crate:
        document = ro_crate(subject, files, service.public_url, service.license_url)
        text = json.dumps(document, indent=1, allow_nan=False)
        return text.replace("<", "\\u003c").encode(), JSON_LD  # JSON-LD is put into pages, where </script> would end it
    if service.key is None:
        return statement(subject, files, service.public_url, signed=False), STATEMENT
    return service.key.sign(statement(subject, files, service.public_url, signed=True)), ENVELOPE


def served_files(session: Session, subject: Subject) -> list[Digest]:
    """What the service serves of the verdict besides, with the digests of these bytes; nothing for an imported one."""
    verdict = subject.verdict
    if verdict.evidence_id is None or subject.content is None:
        return []
    evidence = read_evidence(session, verdict.id).model_dump_json().encode()
    files = [Digest(EVIDENCE, sha256(evidence).hexdigest())]
    labels = subject.content.get("labels") or []
    predictions = predictions_digest(session, verdict.evidence_id, labels)
    return [*files, Digest(PREDICTIONS, predictions)] if predictions else files
