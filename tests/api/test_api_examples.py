"""The examples of the OpenAPI document are what a service answered, and still have the shape of what it answers.

VERDICTS_RECORD_EXAMPLES=1 writes them anew.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from app.catalogue.import_document import import_document, parse_document
from app.core.db import Database
from app.core.settings import Settings, WebhookSettings
from tests.api.fixtures import settings as api_settings
from tests.api.helpers import DRIVER, GOLDEN, PAPER, Api, Json, counts_body, ok
from tests.api.recorded import SECRET, ask_claims, ask_comparison, ask_webhooks, load_seeds
from tests.factories.keys import make_key
from tests.webhooks.receiver import receiving

__all__ = ["api_settings"]

EXAMPLES = Path(__file__).resolve().parents[2] / "app" / "examples.json"
_JSON = {"Content-Type": "application/json"}
_VARYING = {"id", "claim_id", "computed_at"}


@pytest.fixture
def settings(api_settings: Settings) -> Settings:
    webhooks = WebhookSettings(allow_http=True, allow_private=True, poll_s=0.05, timeout_s=30)
    return api_settings.model_copy(update={"webhooks": webhooks})


@pytest.fixture
def client(app: FastAPI) -> Iterator[Api]:
    with Api(app, address="203.0.113.7") as client:
        client.key = make_key(app.state.database, name="model zoo").key
        yield client


def test_the_examples_are_what_is_answered(client: Api, database: Database, catalogue: Path) -> None:
    with database.unit_of_work() as session:
        import_document(session, parse_document(GOLDEN.read_text()))
    load_seeds(database, catalogue)
    with receiving() as receiver:
        compared = ask_comparison(client, database)
        answered = _ask(client) | compared | ask_claims(client) | ask_webhooks(client, receiver)
    if os.environ.get("VERDICTS_RECORD_EXAMPLES"):
        EXAMPLES.write_text(json.dumps(answered, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    kept = json.loads(EXAMPLES.read_text(encoding="utf-8"))
    assert {name: _shape(one) for name, one in kept.items()} == {name: _shape(one) for name, one in answered.items()}
    assert kept["PaperDocumentRead"] == json.loads(GOLDEN.read_text())
    assert _measured(kept["ComparisonRead"]) == _measured(compared["ComparisonRead"])
    assert kept["WebhookCreated"]["secret"] == SECRET


def _ask(client: Api) -> dict[str, Json]:
    paper = ok(client.get(f"/v1/papers/{PAPER}"))
    (claim,) = ok(client.get(f"/v1/papers/{PAPER}/claims"))["items"]
    run = ok(client.post(f"/v1/papers/{PAPER}/reproductions", json={"driver": DRIVER}), 202)
    posted = ok(client.post(f"/v1/papers/{PAPER}/verdicts", json=counts_body(kind="PRE")), 201)
    (summary,) = [one for one in ok(client.get("/v1/papers"))["items"] if one["arxiv_id"] == PAPER]
    design = {"reported_value": "91.8", "unit": "percent", "population": 9815, "margin": 0.02}
    return {
        "PaperDocumentRead": paper,
        "PaperSummary": summary,
        "VersionRead": ok(client.get(f"/v1/papers/{PAPER}/versions/1")),
        "ClaimRead": claim,
        "DriverRead": ok(client.get(f"/v1/drivers/{DRIVER}")),
        "ReproductionRead": run,
        "ReproductionSummary": ok(client.get("/v1/reproductions?limit=1"))["items"][0],
        "VerdictRead": posted,
        "EvidenceRead": ok(client.get(f"/v1/verdicts/{posted['id']}/evidence")),
        "BatchRead": ok(client.post("/v1/papers:batchGet", json={"ids": [PAPER, "2111.99999"]})),
        "DocumentImported": ok(client.post("/v1/papers:import", content=GOLDEN.read_bytes(), headers=_JSON)),
        "BadgeRead": ok(client.get(f"/v1/papers/{PAPER}/badge.json")),
        "DesignRead": ok(client.post("/v1/designs", json=design)),
        "Problem": client.get("/v1/papers/2111.99999").json(),
        "HealthRead": ok(client.get("/healthz")),
        "ReadinessRead": ok(client.get("/readyz")),
    }


def _shape(node: Any) -> Any:  # noqa: ANN401  # any JSON
    """Its keys in their order, and the types of its values."""
    if isinstance(node, dict):
        return [(name, _shape(one)) for name, one in node.items()]
    if isinstance(node, list):
        return [_shape(one) for one in node]
    return "number" if isinstance(node, int | float) and not isinstance(node, bool) else type(node).__name__


def _measured(comparison: Json) -> Json:
    """All of it but ids and times: the released predictions stay what they are."""
    sides = {
        side: {name: one for name, one in comparison[side].items() if name not in _VARYING}
        for side in ("first", "second")
    }
    return {**comparison, **sides}
