"""Importing paper documents: the golden one comes out byte for byte, and nothing contradicts what is stored."""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text

from app.catalogue.errors import CatalogueError
from app.catalogue.import_document import DocumentImported, import_document, parse_document
from app.catalogue.load import load_catalogue
from app.core.db import Database
from app.core.errors import AppError
from app.core.settings import Settings
from app.models import Base, Claim, Paper, PaperDocument, Verdict
from app.papers.add_version import add_version
from app.papers.change import change_paper
from app.papers.document import write_document
from app.papers.find import find_paper, lock_paper
from app.papers.ids import PaperRef
from app.papers.queries import read_document
from app.papers.schemas import PaperPatch, VersionPost
from app.protocol.axes import ProtocolMatch
from app.protocol.driver import Estimand
from app.statistics.counts import Stratum
from app.verdicts.decide import Measurement, ReportedValue, decide
from tests.factories.databases import opened
from tests.factories.drivers import Subject
from tests.factories.papers import make_claim, make_paper
from tests.factories.threads import together
from tests.factories.verdicts import issue_verdict

Document = dict[str, Any]

GOLDEN = Path(__file__).parents[1] / "golden" / "paper-2111.09543.json"
REF = PaperRef("2111.09543")
SHIPPED = Settings.model_fields["catalogue_dir"].default


@pytest.fixture(params=["an empty database", "the shipped catalogue"])
def database(database_url: str, request: pytest.FixtureRequest) -> Iterator[Database]:
    with opened(database_url) as database:
        if request.param == "the shipped catalogue":
            with database.unit_of_work() as session:
                load_catalogue(session, SHIPPED)
        yield database


@pytest.fixture
def empty(database_url: str) -> Iterator[Database]:
    with opened(database_url) as database:
        yield database


@pytest.fixture
def golden() -> Document:
    document: Document = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return document


def _import(database: Database, document: Document | str) -> DocumentImported:
    content = document if isinstance(document, str) else json.dumps(document)
    with database.unit_of_work() as session:
        return import_document(session, parse_document(content))


def _served(database: Database, ref: PaperRef = REF) -> bytes:
    with database.unit_of_work() as session:
        return read_document(session, ref)[0]


def _compact(document: Document) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def _contents(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    with database.engine.connect() as connection:
        kept = {
            name: sorted(map(tuple, connection.execute(select(*table.columns))), key=repr)
            for name, table in Base.metadata.tables.items()
            if name != "paper_documents"
        }
        bodies = text("SELECT paper_id, etag, body FROM paper_documents")
        kept["paper_documents"] = sorted(map(tuple, connection.execute(bodies)), key=repr)
    return kept


def _verdicts(document: Document) -> list[Document]:
    """Each place in which a verdict stands."""
    places = (document["verdict"], document["verdicts"]["post"], document["verdicts"]["pre"])
    return [verdict for verdict in places if verdict is not None]


def _changed(document: Document, **changes: object) -> Document:
    """The document with these changes to its verdict, wherever that stands."""
    changed = deepcopy(document)
    for verdict in _verdicts(changed):
        verdict.update(deepcopy(changes))
    return changed


def _cited(document: Document, **changes: object) -> Document:
    changed = deepcopy(document)
    for verdict in _verdicts(changed):
        verdict["claim_citation"].update(changes)
    return changed


def _as_pre(document: Document) -> Document:
    changed = _changed(document, kind="PRE", id=str(uuid4()))
    changed["verdicts"] = {"post": None, "pre": changed["verdict"]}
    return changed


# --- the golden document


def test_the_golden_document_comes_out_byte_for_byte(database: Database, golden: Document) -> None:
    assert _import(database, GOLDEN.read_text(encoding="utf-8")) == DocumentImported(
        arxiv_id="2111.09543", verdicts=1, known=0
    )
    assert _served(database) == _compact(golden)


def test_importing_twice_changes_nothing(database: Database, golden: Document) -> None:
    _import(database, golden)
    before = _contents(database)
    assert _import(database, golden) == DocumentImported(arxiv_id="2111.09543", verdicts=1, known=1)
    assert _contents(database) == before
    assert _served(database) == _compact(golden)


def test_the_catalogue_loads_after_the_document_too(empty: Database, golden: Document) -> None:
    _import(empty, golden)
    with empty.unit_of_work() as session:
        load_catalogue(session, SHIPPED)
        claims = session.scalars(
            select(Claim).join(Paper, Paper.id == Claim.paper_id).where(Paper.arxiv_id == REF.arxiv_id)
        ).all()
    assert len(claims) == 1  # the driver re-measures the very claim that the verdict cites
    assert _served(empty) == _compact(golden)


def test_the_version_that_was_imported_is_served_alike(database: Database, golden: Document) -> None:
    _import(database, golden)
    assert _served(database, PaperRef(REF.arxiv_id, 1)) == _compact(golden)


def test_ids_and_times_are_those_of_the_document(empty: Database, golden: Document) -> None:
    _import(empty, golden)
    with empty.unit_of_work() as session:
        verdict = session.scalars(select(Verdict)).one()
    assert str(verdict.id) == golden["verdict"]["id"]
    assert verdict.computed_at.isoformat() == "2026-05-14T23:56:01.683000+00:00"
    assert (verdict.origin, verdict.sequence, verdict.evidence_id, verdict.decision) == ("imported", 1, None, None)


def test_several_may_import_at_once(empty: Database, golden: Document) -> None:
    results = together(8, lambda _: _import(empty, golden))
    assert sorted(result.known for result in results) == [0] + [1] * 7
    assert _served(empty) == _compact(golden)


def test_a_document_without_verdicts_comes_out_alike(empty: Database, golden: Document) -> None:
    bare = golden | {"verdict": None, "verdicts": {"post": None, "pre": None}}
    assert _import(empty, bare) == DocumentImported(arxiv_id="2111.09543", verdicts=0, known=0)
    assert _served(empty) == _compact(bare)


def test_verdicts_of_both_kinds_come_out_alike(empty: Database, golden: Document) -> None:
    both = deepcopy(golden)
    both["verdicts"]["pre"] = _as_pre(golden)["verdict"]
    assert _import(empty, both) == DocumentImported(arxiv_id="2111.09543", verdicts=2, known=0)
    assert _served(empty) == _compact(both)


def test_a_pre_verdict_alone_speaks_for_the_paper(empty: Database, golden: Document) -> None:
    pre = _as_pre(golden)
    _import(empty, pre)
    assert _served(empty) == _compact(pre)


def test_text_beyond_ascii_comes_out_as_it_stands(empty: Database, golden: Document) -> None:
    odd = deepcopy(golden)
    odd["paper"]["title"] = 'Naïve "β" \u2013 模型 🙂 </script>'
    odd["paper"]["published_at"] = "2021-11-18T06:48:00.000Z"
    odd["paper"]["withdrawn"] = True
    _import(empty, odd)
    assert _served(empty) == _compact(odd)


def test_a_later_version_is_imported_with_the_earlier_ones_before_it(empty: Database, golden: Document) -> None:
    third = deepcopy(golden)
    third["paper"]["latest_version"] = third["latest_version"]["version"] = 3
    _import(empty, third)
    assert _served(empty) == _compact(third)
    with empty.unit_of_work() as session:
        assert find_paper(session, REF).id is not None
        versions = session.execute(text("SELECT version, id FROM paper_versions ORDER BY version")).all()
    assert [row.version for row in versions] == [1, 2, 3]
    assert str(versions[2].id) == third["latest_version"]["id"]


# --- what a newer document brings


def test_a_newer_verdict_takes_over(database: Database, golden: Document) -> None:
    _import(database, golden)
    newer = _changed(golden, id=str(uuid4()), computed_at="2026-06-01T00:00:00.000Z", status="inconclusive")
    assert _import(database, newer) == DocumentImported(arxiv_id="2111.09543", verdicts=1, known=0)
    assert _served(database) == _compact(newer)
    with database.unit_of_work() as session:
        line = session.scalars(select(Verdict).order_by(Verdict.sequence)).all()
    assert [(str(v.id), v.sequence, v.is_current) for v in line] == [
        (golden["verdict"]["id"], 1, False),
        (newer["verdict"]["id"], 2, True),
    ]


def test_metadata_is_that_of_the_document(database: Database, golden: Document) -> None:
    _import(database, golden)
    moved = deepcopy(golden)
    moved["paper"]["venue"] = "Elsewhere 2024"
    _import(database, moved)
    assert _served(database) == _compact(moved)


# --- what is refused, with nothing written


def _refusal(database: Database, document: Document) -> AppError:
    before = _contents(database)
    with pytest.raises(AppError) as refusal:
        _import(database, document)
    assert _contents(database) == before
    return refusal.value


CONTRADICTIONS: dict[str, Callable[[Document], Document]] = {
    "another status": lambda d: _changed(d, status="not_reproduced"),
    "another score": lambda d: _changed(d, score=0.9133653461384555),
    "another confidence": lambda d: _changed(d, confidence=0.84),
    "another agent": lambda d: _changed(d, agent_version="v0.1.1-deberta-mnli-microslice"),
    "another moment": lambda d: _changed(d, computed_at="2026-05-14T23:56:01.684Z"),
    "another protocol": lambda d: _changed(d, protocol_match="exact"),
    "another quotation": lambda d: _cited(d, quoted_text="DeBERTa-v3-large 91.9"),
    "another value": lambda d: _cited(d, reported_value=91.9),
    "another page": lambda d: _cited(d, pdf_page=7),
    "another kind": lambda d: _changed(_as_pre(d), id=d["verdict"]["id"]),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_what_contradicts_a_known_verdict_is_refused(case: str, empty: Database, golden: Document) -> None:
    _import(empty, golden)
    refusal = _refusal(empty, CONTRADICTIONS[case](golden))
    assert (refusal.code, refusal.status) == ("import_conflict", 409)
    assert _served(empty) == _compact(golden)


def test_a_known_verdict_of_another_paper_is_refused(empty: Database, golden: Document) -> None:
    _import(empty, golden)
    stolen = _cited(golden, paper_arxiv_id="2101.00009")
    stolen["paper"]["arxiv_id"] = "2101.00009"
    stolen["latest_version"]["id"] = str(uuid4())
    assert _refusal(empty, stolen).code == "import_conflict"


@pytest.mark.parametrize(
    "changes",
    [
        {"id": str(UUID(int=1))},
        {"source_url": "https://example.org/elsewhere"},
        {"rendered_html_url": "https://example.org/html"},
        {"rendering_engine": "latexml"},
    ],
)
def test_another_version_under_the_same_number_is_refused(changes: Document, empty: Database, golden: Document) -> None:
    _import(empty, golden)
    other = deepcopy(golden)
    other["latest_version"] |= changes
    assert _refusal(empty, other).code == "import_conflict"


def test_a_version_id_that_another_paper_has_is_refused(empty: Database, golden: Document) -> None:
    _import(empty, golden)
    other = _cited(_changed(golden, id=str(uuid4())), paper_arxiv_id="2101.00009")
    other["paper"]["arxiv_id"] = "2101.00009"
    assert _refusal(empty, other).code == "import_conflict"


def test_a_document_of_an_earlier_version_is_refused(empty: Database, golden: Document) -> None:
    _import(empty, golden)
    with empty.unit_of_work() as session:
        paper = find_paper(session, REF, lock=True)
        add_version(session, paper, VersionPost())
        write_document(session, paper)
    assert _refusal(empty, golden).code == "import_conflict"


def test_an_older_verdict_does_not_take_over(empty: Database, golden: Document) -> None:
    _import(empty, golden)
    older = _changed(golden, id=str(uuid4()), computed_at="2026-05-14T23:56:01.682Z")
    refusal = _refusal(empty, older)
    assert (refusal.code, refusal.status) == ("import_outdated", 409)
    assert golden["verdict"]["id"] in refusal.detail


def test_an_older_verdict_does_not_take_over_from_one_of_our_own(empty: Database, golden: Document) -> None:
    bare = golden | {"verdict": None, "verdicts": {"post": None, "pre": None}}
    _import(empty, bare)
    with empty.unit_of_work() as session:
        paper = lock_paper(session, find_paper(session, REF).id)
        citation = golden["verdict"]["claim_citation"]
        fields = {name: value for name, value in citation.items() if name != "paper_arxiv_id"}
        claim = make_claim(session, paper, **fields, unit="percent")
        subject = Subject(REF, paper.id, claim.paper_version_id, claim.id, "tiny")
    issue_verdict(empty, subject)
    assert _refusal(empty, golden).code == "import_outdated"


def test_a_verdict_about_another_claim_than_the_headline_is_refused(empty: Database, golden: Document) -> None:
    bare = golden | {"verdict": None, "verdicts": {"post": None, "pre": None}}
    _import(empty, bare)
    with empty.unit_of_work() as session:
        other = make_claim(session, find_paper(session, REF, lock=True)).id
    refusal = _refusal(empty, golden)
    assert refusal.code == "import_conflict"
    assert "headline claim" in refusal.detail
    with empty.unit_of_work() as session:
        assert find_paper(session, REF).headline_claim_id == other


def test_a_paper_that_was_a_draft_is_imported_under_its_arxiv_id(empty: Database, golden: Document) -> None:
    with empty.unit_of_work() as session:
        draft = make_paper(session, "draft:deberta")
        draft_id = draft.id
        change_paper(session, draft, PaperPatch(arxiv_id=REF.arxiv_id))
    later = deepcopy(golden)
    later["paper"]["latest_version"] = later["latest_version"]["version"] = 2
    _import(empty, later)
    assert _served(empty) == _compact(later)
    with empty.unit_of_work() as session:
        assert find_paper(session, REF).id == draft_id


# --- documents that are none


BAD_DOCUMENTS: dict[str, Callable[[Document], Document]] = {
    "a key missing": lambda d: {name: value for name, value in d.items() if name != "verdicts"},
    "a key too many": lambda d: d | {"extra": 1},
    "verdict and verdicts differ": lambda d: d | {"verdict": None},
    "kinds swapped": lambda d: d | {"verdicts": {"post": None, "pre": d["verdict"]}},
    "not current": lambda d: _changed(d, is_current=False),
    "another paper cited": lambda d: _cited(d, paper_arxiv_id="2101.00009"),
    "versions differ": lambda d: d | {"paper": d["paper"] | {"latest_version": 2}},
    "status unknown": lambda d: _changed(d, status="maybe"),
    "score above 1": lambda d: _changed(d, score=1.5),
    "score a text": lambda d: _changed(d, score="high"),
    "moment without offset": lambda d: _changed(d, computed_at="2026-05-14T23:56:01.683"),
    "value no number": lambda d: _cited(d, reported_value="many"),
    "agent no version": lambda d: _changed(d, agent_version="deberta"),
    "title empty": lambda d: d | {"paper": d["paper"] | {"title": " "}},
}


@pytest.mark.parametrize("case", BAD_DOCUMENTS)
def test_a_document_that_is_none_is_refused(case: str, golden: Document) -> None:
    with pytest.raises(CatalogueError):
        parse_document(json.dumps(BAD_DOCUMENTS[case](deepcopy(golden))))


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "1", '{"paper": NaN}', "[" * 100_000, '"\\ud800"'])
def test_what_is_no_document_is_refused(content: str) -> None:
    with pytest.raises(CatalogueError):
        parse_document(content)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("field", ["score", "confidence"])
def test_a_number_that_is_none_is_refused(field: str, number: str, golden: Document) -> None:
    content = json.dumps(_changed(golden, **{field: 12345})).replace("12345", number)
    with pytest.raises(CatalogueError):
        parse_document(content)


@pytest.mark.parametrize("arxiv_id", ["nonsense", "2111.09543v1", " 2111.09543", ""])
def test_an_id_that_is_none_is_refused(arxiv_id: str, golden: Document) -> None:
    bad = _cited(golden, paper_arxiv_id=arxiv_id)
    bad["paper"]["arxiv_id"] = arxiv_id
    with pytest.raises(CatalogueError, match=r"^paper\.arxiv_id: "):
        parse_document(json.dumps(bad))


# --- the rule gives the document's verdict


def test_the_rule_gives_the_documents_status_and_confidence(golden: Document) -> None:
    verdict = golden["verdict"]
    assert verdict["score"] == 4565 / 4998
    decision = decide(
        ReportedValue(0.918, 0.0005),
        Measurement((Stratum(n=4998, correct=4565, total=9815),), 9815),
        estimand=Estimand.finite_population,
        margin=0.02,
        match=ProtocolMatch.proxy,
    )
    assert (decision.status, decision.score, decision.confidence) == ("reproduced", verdict["score"], 0.85)
    assert decision.confidence == verdict["confidence"]


def test_the_prepared_document_has_the_etag_of_its_body(empty: Database, golden: Document) -> None:
    _import(empty, golden)
    with empty.unit_of_work() as session:
        prepared = session.scalars(select(PaperDocument)).one()
        again = write_document(session, lock_paper(session, prepared.paper_id))
    assert again == prepared.etag
    assert timedelta(0) <= prepared.written_at - prepared.written_at.replace(microsecond=0) < timedelta(seconds=1)
