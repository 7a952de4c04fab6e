"""An exported crate, unpacked as the documentation says, against the rules of RO-Crate and of its profile."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
import requests
from rocrate_validator import services

from app.core.db import Database
from app.core.settings import ExportSettings, Settings
from tests.api.helpers import GOLDEN, PAPER, Api, Json, refused
from tests.exports.helpers import exported, hostile_claim, measured, posted

pytestmark = [
    pytest.mark.usefixtures("catalogue"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of the libraries under the validator
]
CRATE: Final = f"/v1/papers/{PAPER}/export/ro-crate"
CONTEXT: Final = GOLDEN.with_name("ro-crate-1.1-context.jsonld")
"""https://w3id.org/ro/crate/1.1/context, CC0, as it travels with the package rocrate 0.13."""
LICENCE: Final = "https://creativecommons.org/publicdomain/zero/1.0/"


class _Context:
    """The one answer of the web that the validator needs."""

    status_code, ok, text, from_cache = 200, True, CONTEXT.read_text(encoding="utf-8"), True
    headers: Final = {"Content-Type": "application/ld+json"}
    content = text.encode()

    def json(self) -> Any:  # noqa: ANN401  # any JSON
        return json.loads(self.text)

    def raise_for_status(self) -> None:
        """It is a success."""


def _web(_session: object, url: str, **_: object) -> _Context:
    """Stands for the web: the context of RO-Crate 1.1, and nothing else."""
    assert url == "https://w3id.org/ro/crate/1.1/context", url
    return _Context()


@pytest.fixture
def public(settings: Settings) -> Settings:
    """The service says where it is and under which licence it gives its verdicts away."""
    settings.public_url = "https://verdicts.example"
    settings.exports = ExportSettings(license_url=LICENCE)
    return settings


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for verb in ("get", "head"):
        monkeypatch.setattr(requests.Session, verb, _web)


def unpacked(client: Api, address: str, verdict_id: str, folder: Path) -> Json:
    """The crate's document; the folder holds it and the files it names."""
    text = exported(client.get(address), "application/ld+json")
    document: Json = json.loads(text)
    (folder / "ro-crate-metadata.json").write_bytes(text)
    for entity in document["@graph"]:
        if entity["@type"] == "File":
            served = client.get(f"/v1/verdicts/{verdict_id}/{entity['@id'].partition('.')[0]}")
            assert served.status_code == 200
            (folder / entity["@id"]).write_bytes(served.content)
    return document


def faults(folder: Path, severity: str) -> list[str]:
    settings = services.ValidationSettings(
        rocrate_uri=str(folder),
        profile_identifier="process-run-crate",
        requirement_severity=severity,
        no_cache=True,  # a session of requests, not one that writes files
    )
    return [f"{issue.severity}: {issue.message}" for issue in services.validate(settings).get_issues()]


def test_a_run_of_ours_keeps_every_rule_and_recommendation(
    public: Settings, client: Api, database: Database, tmp_path: Path
) -> None:
    assert public.public_url
    verdict = measured(client, database)
    document = unpacked(client, CRATE, verdict["id"], tmp_path)
    assert faults(tmp_path, "RECOMMENDED") == []
    entities = {entity["@id"]: entity for entity in document["@graph"]}
    assert len(entities) == len(document["@graph"])
    assert entities["./"]["license"] == {"@id": LICENCE}
    assert entities["./"]["url"] == f"https://verdicts.example/v1/verdicts/{verdict['id']}"
    assert {part["@id"] for part in entities["./"]["hasPart"]} == {"evidence.json", "predictions.jsonl"}
    assert entities["#run"]["startTime"] < entities["#run"]["endTime"]
    assert entities["#claim"]["value"] == "91.8"
    inputs = {entities[one["@id"]]["name"] for one in entities["#run"]["object"]}
    assert inputs >= {"data/mnli_validation_matched.parquet", "weights/model.safetensors", "tokenizer/tokenizer.json"}


def test_the_validator_sees_a_broken_crate(client: Api, tmp_path: Path) -> None:
    verdict = posted(client)
    unpacked(client, CRATE, verdict["id"], tmp_path)
    assert faults(tmp_path, "REQUIRED") == []
    text = (tmp_path / "ro-crate-metadata.json").read_text()
    (tmp_path / "ro-crate-metadata.json").write_text(text.replace('"instrument"', '"instruments"'))
    assert any("instrument" in fault for fault in faults(tmp_path, "REQUIRED"))


def test_counts_hostile_texts_and_no_settings(client: Api, tmp_path: Path) -> None:
    claim = hostile_claim(client)
    address = f"{CRATE}?claim={claim['id']}"
    (verdict,) = client.get(f"/v1/papers/{PAPER}/verdicts?claim={claim['id']}").json()["items"]
    document = unpacked(client, address, verdict["id"], tmp_path)
    assert faults(tmp_path, "REQUIRED") == []
    entities = {entity["@id"]: entity for entity in document["@graph"]}
    assert entities["#claim"]["description"] == claim["quoted_text"]
    assert entities["./"]["license"] == {"@id": "#no-licence"}
    assert entities["./"]["hasPart"] == [{"@id": "evidence.json"}]
    assert "url" not in entities["./"]
    text = (tmp_path / "ro-crate-metadata.json").read_bytes()
    assert b"<" not in text  # so it may stand inside a page's <script>
    assert text.isascii()


def test_an_imported_verdict_says_what_there_is(client: Api, database: Database, tmp_path: Path) -> None:
    from app.catalogue.import_document import import_document, parse_document  # noqa: PLC0415

    with database.unit_of_work() as session:
        import_document(session, parse_document(GOLDEN.read_text(encoding="utf-8")))
    verdict = client.get(f"/v1/papers/{PAPER}").json()["verdict"]
    document = unpacked(client, CRATE, verdict["id"], tmp_path)
    assert faults(tmp_path, "REQUIRED") == []
    assert "File" not in {entity["@type"] for entity in document["@graph"]}
    refused(client.get(f"/v1/papers/{PAPER}/export/in-toto"), 404, "evidence_not_found")
