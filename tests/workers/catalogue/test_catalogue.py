"""The drivers that are shipped, by name, and that what they cite is what was said."""

import csv
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from app.protocol.axes import ProtocolMatch
from app.protocol.driver import AdapterModel, ClassifierModel, DriverSpec, HubSource, ReleasedPredictions

_MATCHED = ("257ce0ec9cd5c41d1d0498c0e2126773bbf7bd37cef99b76f35ed6344449bd6c", 9815)
_MISMATCHED = ("e80ae1ebc686ce2627e49845e7ea3b72ae38e7b1ca5f936dfdea10c81474c3e7", 9832)
_SPLITS = {"matched": _MATCHED, "mismatched": _MISMATCHED}

GOLDEN = {
    "deberta-mnli-microslice": ("v0.1.0-deberta-mnli-microslice", *_MATCHED),
    "minilm-mnli-full": ("v0.1.0-minilm-mnli-full", *_MATCHED),
    "minilm-mnli-mismatched-full": ("v0.1.0-minilm-mnli-mismatched-full", *_MISMATCHED),
} | {
    slug: (f"v0.1.0-{slug}", *pinned)
    for split, pinned in _SPLITS.items()
    for slug in (f"bert-base-mnli-seed{seed:02d}-{split}" for seed in range(1, 11))
}
"""Slug -> agent version, content fingerprint and number of examples of its split."""


@pytest.fixture(scope="module")
def drivers(catalogue: Path) -> dict[str, DriverSpec]:
    paths = (catalogue / "drivers").glob("*.toml")
    return {path.stem: DriverSpec.model_validate(tomllib.loads(path.read_text("utf-8"))) for path in paths}


@pytest.fixture(scope="module")
def papers(catalogue: Path) -> dict[str, dict[str, Any]]:
    found = [tomllib.loads(path.read_text("utf-8")) for path in (catalogue / "papers").glob("*.toml")]
    return {paper["arxiv_id"]: paper for paper in found}


def test_the_drivers_are_those_of_the_golden_table(drivers: dict[str, DriverSpec]) -> None:
    found = {name: (one.agent_version, one.data.fingerprint, one.data.size) for name, one in drivers.items()}
    assert found == GOLDEN
    assert all(name == one.slug for name, one in drivers.items())


def test_every_driver_is_of_a_paper_that_is_there(
    drivers: dict[str, DriverSpec], papers: dict[str, dict[str, Any]]
) -> None:
    assert {one.paper for one in drivers.values()} == set(papers)
    for name, one in drivers.items():
        assert (one.kind == "PRE") == one.paper.startswith("draft:"), name
        assert one.claim.n_items == one.data.size, name
        assert one.claim.reported_value in one.claim.quoted_text, name


def test_the_golden_paper_is_told_as_in_its_document(
    drivers: dict[str, DriverSpec], papers: dict[str, dict[str, Any]]
) -> None:
    document = json.loads((Path(__file__).parents[2] / "golden" / "paper-2111.09543.json").read_text("utf-8"))
    paper = papers["2111.09543"]
    for field in ("arxiv_id", "title", "abstract", "primary_category", "venue", "published_at", "withdrawn"):
        assert paper.get(field) == document["paper"][field]
    (version,) = paper["versions"]
    for field in ("id", "version", "source_url", "rendered_html_url", "rendering_engine"):
        assert version.get(field) == document["latest_version"][field]
    driver, verdict = drivers["deberta-mnli-microslice"], document["verdict"]
    assert (driver.agent_version, driver.kind) == (verdict["agent_version"], verdict["kind"])
    assert driver.protocol.match == verdict["protocol_match"]
    claim, citation = driver.claim, verdict["claim_citation"]
    for field in ("section", "row", "column", "quoted_text", "pdf_page", "notes"):
        assert getattr(claim, field) == citation[field]
    assert float(claim.reported_value) == citation["reported_value"]
    assert (claim.metric, claim.unit) == (citation["reported_metric"], "percent")
    assert (driver.slice.kind, driver.slice.size, driver.decision.margin) == ("balanced", 5000, 0.02)


def test_released_runs_cite_their_own_files(catalogue: Path, drivers: dict[str, DriverSpec]) -> None:
    with (catalogue / "data" / "bert_base_instability_claims.csv").open() as lines:
        claims = list(csv.DictReader(lines))
    assert len(claims) == 20
    for line in claims:
        one = drivers[f"bert-base-mnli-seed{int(line['seed']):02d}-{line['set']}"]
        folder = {"matched": "-mnli", "mismatched": "-mnli-mm"}[line["set"]]
        assert one.claim.reported_value == line["claimed_accuracy"]
        assert one.claim.section == f"models/berts/seed_{line['seed']}/{folder}/eval_results.txt"
        assert one.claim.quoted_text == f"acc_{folder[1:]} = {line['claimed_accuracy']}"
        assert one.claim.section in (one.claim.notes or "")
        assert isinstance(one.model, ReleasedPredictions)
        assert one.model.filters == {"set": line["set"], "seed": int(line["seed"])}
        assert one.protocol.match is ProtocolMatch.proxy


def test_the_adapters_claims_stand_in_its_model_card(catalogue: Path, drivers: dict[str, DriverSpec]) -> None:
    card = (catalogue / "checkpoints" / "minilm-l6-nli-adapter" / "README.md").read_text("utf-8")
    for slug in ("minilm-mnli-full", "minilm-mnli-mismatched-full"):
        one = drivers[slug]
        assert one.claim.quoted_text in card
        assert one.protocol.match is ProtocolMatch.exact
        assert isinstance(one.model, AdapterModel)
        pinned = [*one.model.weights_sha256.values(), *one.model.base_weights_sha256.values()]
        for digest in [*pinned, one.model.tokenizer_sha256]:
            assert str(digest) in card


def test_everything_from_the_hub_is_pinned(drivers: dict[str, DriverSpec]) -> None:
    for one in drivers.values():
        if isinstance(one.model, ClassifierModel) and isinstance(one.model.source, HubSource):
            assert set(one.model.weights_sha256) == {"model.safetensors"}
        assert one.data.sha256 is not None
