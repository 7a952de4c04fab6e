"""What the OpenAPI document says of the API as a whole."""

import json
from pathlib import Path
from typing import Any, Final

from app.core.openapi import Reference

CONTACT: Final = {"name": "The operators of this service"}
LICENCE: Final = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
SERVERS: Final = [{"url": "/", "description": "This service; all addresses are relative to it."}]
_EXAMPLES: Final = Path(__file__).with_name("examples.json")
TAGS: Final = {
    "papers": "Papers and their versions. The paper document holds the verdicts as they stand.",
    "claims": "Numbers that papers report, each with where it stands and how precisely it is printed.",
    "drivers": "Recipes that re-measure a claim: checkpoint, data, slice, protocol, margin.",
    "reproductions": "Runs of drivers: asked for, followed, cancelled. A run's `state` is never a verdict's `status`.",
    "verdicts": "Immutable conclusions with their evidence; one is current for each claim and kind.",
    "designs": "How many examples a decision takes, before any is measured.",
    "events": "What happens to runs and verdicts, as it happens: server-sent events.",
    "badges": "What READMEs embed.",
    "exports": "Verdicts in the formats of others: model cards, RO-Crate, attestations, whole data sets.",
    "comparisons": "Two verdicts on the same items.",
    "webhooks": "Events sent to others' addresses.",
    "operations": "For those who run the service: health, metrics, the audit log.",
    "dashboard": "Pages for people.",
}
PARAMETERS: Final = {
    "category": "Of this primary category, e.g. `cs.CL`.",
    "claim": "About this claim.",
    "claim_id": "The claim's id.",
    "delivery_id": "The delivery's id.",
    "first": "The one verdict's id.",
    "format": "The format of the export.",
    "is_current": "Only those that stand (true), or only those that were superseded (false).",
    "kind": "PRE checks the paper before its publication, POST after it.",
    "reproduction_id": "The run's id.",
    "second": "The other verdict's id.",
    "slug": "The driver's slug, e.g. `minilm-mnli-full`.",
    "sort": "`-newest_verdict`: newest verdict first. `arxiv_id`: by id.",
    "state": "In this state.",
    "status": "With this status.",
    "venue": "Of this venue.",
    "verdict_id": "The verdict's id.",
    "webhook_id": "The webhook's id.",
    "withdrawn": "Only withdrawn papers (true), or only the others (false).",
}


def read_reference() -> Reference:
    """All of it. The examples were answered by a real service; a test holds them to what it answers now.

    Made up is what would be of no use to anybody: a webhook's secret and its address.
    """
    examples: dict[str, dict[str, Any]] = json.loads(_EXAMPLES.read_text(encoding="utf-8"))
    return Reference(TAGS, PARAMETERS, examples)
