"""The examples of the OpenAPI document are what a service answered, and still have the shape of what it answers.

VERDICTS_RECORD_EXAMPLES=1 writes them anew.
"""

import json
import os
from pathlib import Path
from typing import Any

from app.catalogue.import_document import import_document, parse_document
from app.core.db import Database
from tests.api.helpers import DRIVER, GOLDEN, PAPER, Api, counts_body, ok

EXAMPLES = Path(__file__).resolve().parents[2] / "app" / "examples.json"
Json = dict[str, Any]


def test_the_examples_are_what_is_answered(client: Api, database: Database, catalogue: Path) -> None:
    assert catalogue
    with database.unit_of_work() as session:
        import_document(session, parse_document(GOLDEN.read_text()))
    answered = _ask(client)
    if os.environ.get("VERDICTS_RECORD_EXAMPLES"):
        EXAMPLES.write_text(json.dumps(answered, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    kept = json.loads(EXAMPLES.read_text(encoding="utf-8"))
    assert {name: _shape(one) for name, one in kept.items()} == {name: _shape(one) for name, one in answered.items()}
    assert kept["PaperDocumentRead"] == json.loads(GOLDEN.read_text())


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
        "VerdictRead": posted,
        "EvidenceRead": ok(client.get(f"/v1/verdicts/{posted['id']}/evidence")),
        "BatchRead": ok(client.post("/v1/papers:batchGet", json={"ids": [PAPER, "2111.99999"]})),
        "BadgeRead": ok(client.get(f"/v1/papers/{PAPER}/badge.json")),
        "DesignRead": ok(client.post("/v1/designs", json=design)),
        "Problem": client.get("/v1/papers/2111.99999").json(),
    }


def _shape(node: Any) -> Any:  # noqa: ANN401  # any JSON
    """Its keys in their order, and the types of its values."""
    if isinstance(node, dict):
        return [(name, _shape(one)) for name, one in node.items()]
    if isinstance(node, list):
        return [_shape(one) for one in node]
    return "number" if isinstance(node, int | float) and not isinstance(node, bool) else type(node).__name__
