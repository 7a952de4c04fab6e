"""Paper documents over HTTP: they come in as they went out, and nothing that is none does."""

import json
from pathlib import Path

import pytest
from fastapi import FastAPI

from app.access.scopes import Scope
from tests.api.fixtures import app, client, database, settings
from tests.api.helpers import Api, ok, refused
from tests.factories.keys import make_key

__all__ = ["app", "client", "database", "settings"]

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "paper-2111.09543.json"
IMPORT = "/v1/papers:import"
JSON = {"Content-Type": "application/json"}


def test_a_document_goes_out_as_it_came_in(client: Api) -> None:
    first = client.post(IMPORT, content=GOLDEN.read_bytes(), headers=JSON)
    assert ok(first) == {"arxiv_id": "2111.09543", "verdicts": 1, "known": 0}
    assert first.headers["location"] == "/v1/papers/2111.09543"
    document = client.get("/v1/papers/2111.09543").content
    assert document.decode() == json.dumps(json.loads(GOLDEN.read_text()), ensure_ascii=False, separators=(",", ":"))
    again = client.post(IMPORT, content=document, headers=JSON)
    assert ok(again) == {"arxiv_id": "2111.09543", "verdicts": 1, "known": 1}
    entries = ok(client.get("/v1/audit"))["items"]
    assert ("importDocument", "verdict.issued") in {(entry["operation"], entry["action"]) for entry in entries}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"\xff", b'{"paper": {}}', b"[" * 100_000, b"1e999"],
    ids=["empty", "cut", "list", "null", "bytes", "lacking", "deep", "infinite"],
)
def test_what_is_no_document_is_refused(client: Api, body: bytes) -> None:
    refused(client.post(IMPORT, content=body, headers=JSON), 422, "document_invalid")


def test_one_that_contradicts_what_is_stored_changes_nothing(client: Api) -> None:
    ok(client.post(IMPORT, content=GOLDEN.read_bytes(), headers=JSON))
    liar = GOLDEN.read_bytes().replace(b"0.9133653461384554", b"0.95")
    assert liar != GOLDEN.read_bytes()
    refused(client.post(IMPORT, content=liar, headers=JSON), 409, "import_conflict")


def test_it_takes_an_administrator(client: Api, app: FastAPI) -> None:
    client.key = make_key(app.state.database, Scope.curate).key
    refused(client.post(IMPORT, content=GOLDEN.read_bytes(), headers=JSON), 403, "scope_missing")
