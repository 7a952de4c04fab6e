"""The client's types are the service's, and the client is free of the service."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

from app.client import models, problems
from app.client.client import AsyncClient, Client, Listing, Verb, Verbs
from app.core.settings import Settings
from app.main import create_app

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS: Final = {
    models.AuditEntry: "AuditRead",
    models.Batch: "BatchRead",
    models.BatchItem: "BatchItem",
    models.Claim: "ClaimRead",
    models.ClaimCitation: "ClaimCitation",
    models.ClaimImported: "ClaimImported",
    models.ClaimsImported: "ClaimsImported",
    models.DocumentImported: "DocumentImported",
    models.DocumentVerdict: "DocumentVerdict",
    models.DocumentVerdicts: "DocumentVerdicts",
    models.Driver: "DriverRead",
    models.Evidence: "EvidenceRead",
    problems.FieldProblem: "FieldError",
    models.Paper: "PaperRead",
    models.PaperDocument: "PaperDocumentRead",
    models.PaperSummary: "PaperSummary",
    models.PaperVersion: "VersionRead",
    problems.Problem: "Problem",
    models.Progress: "Progress",
    models.ProtocolAxes: "ProtocolAxes",
    models.Reproduction: "ReproductionRead",
    models.RunError: "RunError",
    models.RunningEstimate: "RunningEstimate",
    models.Slice: "SliceSpec",
    models.Verdict: "VerdictRead",
    models.Webhook: "WebhookRead",
    models.WebhookCreated: "WebhookCreated",
}


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    settings = Settings(database_url="postgresql+psycopg://x/y", redis_url="redis://x/0", log_level="ERROR")
    found = create_app(settings).openapi()["components"]["schemas"]
    assert isinstance(found, dict)
    return found


def may_be_null(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "null" or any(may_be_null(one) for one in schema.get("anyOf", []))


@pytest.mark.parametrize("model", SCHEMAS, ids=lambda model: model.__name__)
def test_a_type_of_the_client_has_the_fields_of_the_service(
    model: type[problems.Answered], schemas: dict[str, Any]
) -> None:
    served = schemas[SCHEMAS[model]]["properties"]
    mine = model.model_json_schema(mode="serialization")["properties"]
    assert set(mine) == set(served)
    nullable = {name for name, schema in served.items() if may_be_null(schema)}
    assert {name for name, schema in mine.items() if may_be_null(schema)} >= nullable


def test_every_type_of_the_client_is_held_to_the_service() -> None:
    named = [*vars(models).values(), *vars(problems).values()]
    mine = {one for one in named if isinstance(one, type) and issubclass(one, problems.Answered)} - {
        problems.Answered,
        models.Page,
        models.Decision,
        models.Prediction,
    }  # these have no schema of their own there
    assert mine == set(SCHEMAS)


def test_both_clients_have_the_same_verbs_with_their_parameters_and_words() -> None:
    verbs = {name for name, one in vars(Verbs).items() if isinstance(one, Verb | Listing)}
    assert {"paper", "papers", "verdicts", "verdict", "claims", "drivers", "reproduction", "reproduce"} <= verbs
    with Client("http://127.0.0.1:9") as waiting:
        awaiting = AsyncClient("http://127.0.0.1:9")
        for name in verbs:
            assert getattr(waiting, name).__doc__
            assert getattr(waiting, name).__signature__ == getattr(awaiting, name).__signature__
            assert "context" not in getattr(waiting, name).__signature__.parameters


def test_the_client_loads_nothing_of_the_service() -> None:
    program = "import json, sys, app.client; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = json.loads(done.stdout)
    assert {name for name in loaded if name.startswith("app.") and not name.startswith("app.client")} == set()
    heavy = {"sqlalchemy", "fastapi", "starlette", "celery", "redis", "psycopg", "numpy", "scipy", "torch", "typer"}
    assert heavy & set(loaded) == set()


def test_the_package_says_that_it_is_typed() -> None:
    assert (ROOT / "app" / "py.typed").exists()
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "py.typed" in settings["tool"]["setuptools"]["package-data"]["app"]
