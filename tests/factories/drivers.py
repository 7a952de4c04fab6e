"""Catalogues of tiny drivers, written as TOML files and loaded as every catalogue is."""

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from uuid import UUID

from app.catalogue.load import load_catalogue
from app.core.db import Database
from app.drivers.queries import find_driver
from app.models import Claim
from app.papers.ids import PaperRef
from tests.factories.papers import ARXIV_ID, claim_fields

Table = dict[str, Any]

LABELS: Final = ("entailment", "neutral", "contradiction")
SIZE: Final = 12
"""Items of the tiny split: item i bears label i modulo 3."""
_DIGEST: Final = "0" * 64


def paper_table(arxiv_id: str = ARXIV_ID, **changes: Any) -> Table:  # noqa: ANN401  # whatever a file may say
    """A paper's file, with one version."""
    return {
        "arxiv_id": arxiv_id,
        "title": "A title",
        "abstract": "An abstract.",
        "versions": [{"version": 1}],
    } | changes


def driver_table(slug: str = "tiny", arxiv_id: str = ARXIV_ID, **changes: Any) -> Table:  # noqa: ANN401  # as above
    """A driver's file: released predictions on the tiny split, all of it. `changes` reach into its tables."""
    claim = claim_fields(metric="accuracy")
    table: Table = {
        "slug": slug,
        "version": "0.1.0",
        "description": "A tiny driver of released predictions.",
        "paper": arxiv_id,
        "claim": claim,
        "model": {
            "kind": "predictions",
            "source": {"path": "data/predictions.csv"},
            "sha256": _DIGEST,
            "labels": list(LABELS),
        },
        "data": {
            "source": {"path": "data/split.csv"},
            "name": "Tiny",
            "split": "validation",
            "fingerprint": _DIGEST,
            "size": SIZE,
            "labels": list(LABELS),
        },
        "slice": {"kind": "full"},
        "protocol": {"model": "released_predictions", "data": "full_split", "metric": "same", "inference": "same"},
        "decision": {"margin": 0.01},
    }
    return _merged(table, changes)


def write_catalogue(folder: Path, drivers: Sequence[Table], papers: Sequence[Table]) -> Path:
    """The folder, holding a file each."""
    for name, tables in (("papers", papers), ("drivers", drivers)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for table in tables:
            stem = table["slug"] if name == "drivers" else table["arxiv_id"].replace(":", "-").replace("/", "-")
            (folder / name / f"{stem}.toml").write_text(to_toml(table), encoding="utf-8")
    return folder


def to_toml(table: Mapping[str, Any]) -> str:
    """The table as TOML, everything inside it inline."""
    return "".join(f"{name} = {_inline(value)}\n" for name, value in table.items())


@dataclass(frozen=True, slots=True)
class Subject:
    """A paper with one claim and the driver that re-measures it."""

    ref: PaperRef
    paper_id: UUID
    version_id: UUID
    claim_id: UUID
    slug: str


def make_subject(
    database: Database,
    slug: str = "tiny",
    arxiv_id: str = ARXIV_ID,
    **changes: Any,  # noqa: ANN401  # as above
) -> Subject:
    """Load a catalogue of this one paper and driver."""
    with TemporaryDirectory() as folder, database.unit_of_work() as session:
        catalogue = write_catalogue(Path(folder), [driver_table(slug, arxiv_id, **changes)], [paper_table(arxiv_id)])
        load_catalogue(session, catalogue)
        claim = session.get_one(Claim, find_driver(session, slug).claim_id)
        return Subject(PaperRef.parse(arxiv_id), claim.paper_id, claim.paper_version_id, claim.id, slug)


def _merged(table: Table, changes: Mapping[str, Any]) -> Table:
    merged = deepcopy(table)
    for name, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = _merged(merged[name], value) if both else value
    return merged


def _inline(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_inline(one)}" for name, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return json.dumps(value, ensure_ascii=False)  # TOML's strings, numbers and booleans are JSON's
