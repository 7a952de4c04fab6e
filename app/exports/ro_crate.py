"""RO-Crate 1.1 metadata of one verdict: the run that measured it, after the profile Process Run Crate 0.5.

The crate is a folder with this document as `ro-crate-metadata.json`, and beside it `evidence.json` and, where there are
any, `predictions.jsonl`, as the service serves them. Sources: w3id.org/ro/crate/1.1, w3id.org/ro/wfrun/process/0.5.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from app.exports.described import Digest, data_of, files_of, in_unit, interval_of, model_of, value_of
from app.exports.model_index import hub_url, paper_url
from app.exports.subject import Subject

CONTEXT: Final = [
    "https://w3id.org/ro/crate/1.1/context",
    {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"},  # the one term that 1.1 lacks
]
PROFILE: Final = "https://w3id.org/ro/wfrun/process/0.5"
EVIDENCE: Final = "evidence.json"
PREDICTIONS: Final = "predictions.jsonl"
_NO_LICENCE: Final = "#no-licence"
_OPERATOR: Final = "#operator"

Entity = dict[str, Any]


def ro_crate(subject: Subject, files: list[Digest], public_url: str | None, license_url: str | None) -> Entity:
    """The document. `files` are the crate's own, with the digests of the bytes that are served."""
    return {"@context": CONTEXT, "@graph": list(_graph(subject, files, public_url, license_url))}


def _graph(subject: Subject, files: list[Digest], public_url: str | None, license_url: str | None) -> Iterator[Entity]:
    verdict, claim = subject.verdict, subject.claim
    inputs = [*_data_and_model(subject), *map(_input, files_of(subject)), _claim(subject)]
    licence = _licence(license_url)
    address = f"{public_url}/v1/verdicts/{verdict.id}" if public_url else None
    yield {
        "@id": "ro-crate-metadata.json",
        "@type": "CreativeWork",
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
        "about": {"@id": "./"},
    }
    yield _without_none(
        {
            "@id": "./",
            "@type": "Dataset",
            "identifier": address or f"urn:uuid:{verdict.id}",
            "url": address,
            "name": f"Verdict on {subject.arxiv_id}: {claim.row}, {claim.column}",
            "description": f"{claim.row}, {claim.column} ({claim.section}) of {subject.title!r}, measured again: "
            f"{verdict.status}, confidence {verdict.confidence:g}.",
            "datePublished": _moment(verdict.computed_at),
            "license": {"@id": licence["@id"]},
            "publisher": {"@id": _OPERATOR},
            "author": {"@id": _OPERATOR},
            "conformsTo": {"@id": PROFILE},
            "hasPart": [{"@id": file.name} for file in files],
            "about": {"@id": paper_url(subject.arxiv_id)},
            "mentions": [{"@id": "#run"}, {"@id": "#verdict"}],
        }
    )
    yield {"@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
    yield licence
    operator = {"@id": _OPERATOR, "@type": "Organization", "name": "The operator of this Paper Verdicts service"}
    yield _without_none({**operator, "url": public_url})
    yield from (_file(file) for file in files)
    yield from inputs
    yield _paper(subject)
    instrument = _instrument(subject, public_url)
    yield instrument
    yield _run(subject, instrument, inputs, files)
    yield _verdict(subject, address)


def _run(subject: Subject, instrument: Entity, inputs: list[Entity], files: list[Digest]) -> Entity:
    verdict = subject.verdict
    results = [{"@id": file.name} for file in files] + [{"@id": "#verdict"}]
    return _without_none(
        {
            "@id": "#run",
            "@type": "CreateAction",
            "name": f"Measuring {subject.claim.row}, {subject.claim.column} again",
            "description": "The measurement that the verdict rests on, with the files that went into it.",
            "instrument": {"@id": instrument["@id"]},
            "agent": {"@id": _OPERATOR},
            "startTime": _moment(subject.started_at) if subject.started_at else None,
            "endTime": _moment(verdict.computed_at),
            "actionStatus": "http://schema.org/CompletedActionStatus",
            "object": [{"@id": entity["@id"]} for entity in inputs],
            "result": results,
        }
    )


def _verdict(subject: Subject, address: str | None) -> Entity:
    verdict, claim = subject.verdict, subject.claim
    decision = verdict.decision or {}
    facts = {
        "kind": verdict.kind.value,
        "status": verdict.status,
        "confidence": verdict.confidence,
        "score": in_unit(verdict.score, claim.unit),
        "estimate": value_of(subject) if decision else None,
        "interval_95": interval_of(subject),
        "protocol_match": verdict.protocol_match,
        "protocol_axes": verdict.protocol_axes,
        "rule_version": decision.get("rule_version"),
        "agent_version": verdict.agent_version,
    }
    said = "; ".join(f"{name} {value}" for name, value in facts.items() if value is not None)
    return _without_none(
        {
            "@id": "#verdict",
            "@type": "CreativeWork",
            "name": f"Verdict: {verdict.status}",
            "description": said,
            "identifier": f"urn:uuid:{verdict.id}",
            "url": address,
            "dateCreated": _moment(verdict.computed_at),
            "about": {"@id": "#claim"},
        }
    )


def _claim(subject: Subject) -> Entity:
    claim = subject.claim
    return _without_none(
        {
            "@id": "#claim",
            "@type": "PropertyValue",
            "name": f"{claim.section}, {claim.row}, {claim.column}: {claim.reported_metric}",
            "value": format(claim.reported_value, "f"),
            "unitText": claim.unit,
            "description": claim.quoted_text,
        }
    )


def _paper(subject: Subject) -> Entity:
    name = paper_url(subject.arxiv_id)
    return {"@id": name, "@type": "ScholarlyArticle", "name": subject.title, "identifier": subject.arxiv_id}


def _instrument(subject: Subject, public_url: str | None) -> Entity:
    version, _, slug = subject.verdict.agent_version.partition("-")
    place = f"drivers/{slug}" if subject.driver else f"verdicts/{subject.verdict.id}"
    address = f"{public_url}/v1/{place}" if public_url else None
    return {
        "@id": address or f"#{subject.verdict.agent_version}",
        "@type": "SoftwareApplication",
        "name": str(subject.driver["description"]) if subject.driver else slug,
        "softwareVersion": version.removeprefix("v"),
        **({"url": address} if address else {}),
    }


def _data_and_model(subject: Subject) -> Iterator[Entity]:
    model, data = model_of(subject), data_of(subject)
    split = f", {data.split}" if data.split else ""
    yield _source("#model", model.name, model.hub, model.revision, dataset=False)
    yield _source("#data", data.name + split, data.hub, data.revision, dataset=True)


def _source(place: str, name: str, hub: str | None, revision: str | None, *, dataset: bool) -> Entity:
    url = hub_url(hub, revision, dataset=dataset) if hub else None
    return _without_none({"@id": place, "@type": "CreativeWork", "name": name, "url": url, "version": revision})


def _input(file: Digest) -> Entity:
    return {
        "@id": f"#sha256-{file.sha256}",
        "@type": "CreativeWork",
        "name": file.name,
        "identifier": f"sha256:{file.sha256}",
    }


def _file(file: Digest) -> Entity:
    media = "application/json" if file.name == EVIDENCE else "application/jsonl"
    words = "What a reader needs to check the verdict" if file.name == EVIDENCE else "Every prediction, one a line"
    return {
        "@id": file.name,
        "@type": "File",
        "name": file.name,
        "description": words,
        "encodingFormat": media,
        "sha256": file.sha256,
    }


def _licence(url: str | None) -> Entity:
    if url is not None:
        return {"@id": url, "@type": "CreativeWork", "name": url, "description": "The licence of the verdicts."}
    words = "The operator of this service has stated no licence for its verdicts; ask there before you pass them on."
    return {"@id": _NO_LICENCE, "@type": "CreativeWork", "name": "No licence stated", "description": words}


def _moment(moment: datetime) -> str:
    """With an offset in digits: the profile's pattern knows no `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _without_none(entity: Entity) -> Entity:
    return {name: value for name, value in entity.items() if value is not None}
