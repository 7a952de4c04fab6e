"""Verdicts to export, and readers of what comes out."""

from typing import Any, Final

from httpx2 import Response

from app.core.db import Database
from app.models import Verdict
from app.verdicts.conclude import conclude_run
from tests.api.helpers import DRIVER, PAPER, SPLIT, Api, Json, ok, predictions_body
from tests.factories.runs import beat, predictions, take
from tests.hostile.texts import INJECTIONS

ROWS: Final = 300
FACTS: Final[Json] = {
    "driver": {"agent_version": f"v0.1.0-{DRIVER}", "digest": "d" * 64},
    "model": {
        "kind": "sequence-classification",
        "weights_sha256": {"model.safetensors": "c" * 64},
        "base_weights_sha256": None,
        "tokenizer": {"reader": "tokenizer.json", "file": "tokenizer.json", "sha256": "b" * 64, "max_length": 256},
        "source": {"hub": "some/model", "revision": "a" * 40},
    },
    "data": {
        "name": "MNLI",
        "split": "validation_matched",
        "source": {"path": "data/mnli_validation_matched.parquet"},
        "file_sha256": "e" * 64,
        "fingerprint": "f" * 64,
        "size": 9815,
        "label_names": list(SPLIT),
        "label_counts": list(SPLIT.values()),
    },
    "slice": {"kind": "balanced", "requested": 5000, "size": ROWS, "seed": 0, "indices_sha256": "9" * 64},
    "inference": {"device": "cpu", "dtype": "float32", "threads": 2},
    "environment": {"python": "3.11", "torch": "2.13"},
    "seconds": {"inference": 1.5},
    "examples_per_second": 200.0,
}
"""As a run of the catalogue's driver states them (workers/evaluation/types.py), on a small slice."""


def measured(client: Api, database: Database, *, wrong: int = 24) -> Json:
    """A run of the catalogue's driver, ended with a verdict on so many predictions; the verdict as it is served."""
    ok(client.post(f"/v1/papers/{PAPER}/reproductions", json={"driver": DRIVER}), 202)
    lease = take(database)
    rows = predictions(range(ROWS), wrong=range(wrong))
    for row in rows:
        row["logits"] = [0.1 + (label == row["predicted"]) for label in range(3)]
    beat(database, lease, rows)
    with database.unit_of_work() as session:
        verdict: Verdict = conclude_run(session, lease, FACTS)
    return ok(client.get(f"/v1/verdicts/{verdict.id}"))


def posted(client: Api, *, wrong: int = 24, wanted: Json | None = None, **evidence: Any) -> Json:  # noqa: ANN401  # fields of the evidence
    """Posted predictions, of a balanced slice unless said otherwise; the verdict."""
    names = list(SPLIT)
    pairs = [(names[i % 3], names[(i + (i < wrong)) % 3]) for i in range(ROWS)]
    body = predictions_body(pairs, **{"slice_kind": "balanced", **evidence})
    return ok(client.post(f"/v1/papers/{PAPER}/verdicts", json=body | (wanted or {})), 201)


def hostile_claim(client: Api) -> Json:
    """A claim all of whose texts are hostile, and the verdict on it."""
    everything = " ".join(INJECTIONS)
    fields = {
        "section": everything[:200],
        "row": "\n---\n# not the end " + everything[200:380],
        "column": everything[380:575] or "x",
        "quoted_text": everything,
        "notes": everything,
    }
    claim = client.post_claim(**fields)
    client.post_verdict(claim=claim["id"], agent_version="v1.0.0-agent")
    return claim


def exported(response: Response, media_type: str) -> bytes:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == media_type
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "public, no-cache"
    return response.content
