"""Several who register, rename and claim ids at the same moment: one wins, and the others are told so."""

from collections.abc import Iterator
from threading import Thread

import pytest
from sqlalchemy import func, select

from app.core.db import Database
from app.core.errors import AppError
from app.models import Paper, PaperAlias, PaperDocument, PaperVersion
from app.papers.add_version import add_version
from app.papers.change import change_paper
from app.papers.document import build_document, write_document
from app.papers.find import find_paper
from app.papers.ids import PaperRef
from app.papers.register import register_paper
from app.papers.schemas import PaperPatch, VersionPost
from tests.factories.databases import opened
from tests.factories.papers import make_paper, paper_put
from tests.factories.threads import together, wait_until_blocked

X = "2101.00001"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with opened(database_url, pool_size=20) as database:
        yield database


def _register(database: Database, arxiv_id: str, title: str = "A title") -> str:
    try:
        with database.unit_of_work() as session:
            new = register_paper(session, PaperRef.parse(arxiv_id), paper_put(title=title))[1]
    except AppError as error:
        return error.code
    return "registered" if new else "replaced"


def _rename(database: Database, draft: str, arxiv_id: str) -> str:
    try:
        with database.unit_of_work() as session:
            change_paper(session, find_paper(session, PaperRef(draft), lock=True), PaperPatch(arxiv_id=arxiv_id))
    except AppError as error:
        return error.code
    return "renamed"


def _check(database: Database) -> None:
    """No id is a paper's and an alias of another, and every prepared document is what would be built now."""
    with database.unit_of_work() as session:
        ids = set(session.scalars(select(Paper.arxiv_id)))
        assert ids & set(session.scalars(select(PaperAlias.alias))) == set()
        for paper in session.scalars(select(Paper)):
            document = build_document(session, paper)
            assert document is not None
            assert session.get_one(PaperDocument, paper.id).body == document.model_dump_json().encode()


def test_sixteen_who_register_one_id_make_one_paper(database: Database) -> None:
    outcomes = together(16, lambda number: _register(database, X, f"Title {number}"))
    assert sorted(outcomes) == ["registered"] + ["replaced"] * 15
    with database.unit_of_work() as session:
        assert session.scalar(select(func.count()).select_from(PaperVersion)) == 1
    _check(database)


@pytest.mark.parametrize("turn", range(3))
def test_drafts_that_get_the_same_id_at_once(turn: int, database: Database) -> None:
    drafts = [f"draft:paper-{turn}-{number}" for number in range(8)]
    with database.unit_of_work() as session:
        for draft in drafts:
            make_paper(session, draft)
    outcomes = together(8, lambda number: _rename(database, drafts[number], X))
    assert sorted(outcomes) == ["paper_exists"] * 7 + ["renamed"]
    _check(database)


def test_who_waited_for_a_renaming_is_told_of_it(database: Database) -> None:
    draft = "draft:paper"
    with database.unit_of_work() as session:
        make_paper(session, draft)
    outcomes: list[str] = []
    late = [Thread(target=lambda one=one: outcomes.append(_register(database, one))) for one in (draft, X)]
    with database.unit_of_work() as session:
        change_paper(session, find_paper(session, PaperRef(draft), lock=True), PaperPatch(arxiv_id=X))
        for thread in late:
            thread.start()
        wait_until_blocked(database, 2)
    for thread in late:
        thread.join()
    assert sorted(outcomes) == ["paper_exists", "replaced"]
    _check(database)


@pytest.mark.parametrize("turn", range(5))
def test_a_draft_is_renamed_while_others_register_both_its_ids(turn: int, database: Database) -> None:
    draft = f"draft:paper-{turn}"
    with database.unit_of_work() as session:
        make_paper(session, draft)

    def work(number: int) -> str:
        if number == 0:
            return _rename(database, draft, X)
        return _register(database, draft if number % 2 else X)

    outcomes = together(9, work)
    assert outcomes[0] in {"renamed", "paper_exists"}
    # Under the draft's id: replaced before the renaming, and told of the new id after it. Never a second paper.
    assert set(outcomes[1::2]) <= {"replaced", "paper_exists", "paper_moved"}
    assert set(outcomes[2::2]) <= {"registered", "replaced"}
    with database.unit_of_work() as session:
        papers = session.scalar(select(func.count()).select_from(Paper))
    assert papers == (1 if outcomes[0] == "renamed" else 2)
    _check(database)


def test_versions_that_are_added_at_once_have_no_gaps(database: Database) -> None:
    with database.unit_of_work() as session:
        make_paper(session, X)

    def work(_: int) -> int:
        with database.unit_of_work() as session:
            paper = find_paper(session, PaperRef(X), lock=True)
            version = add_version(session, paper, VersionPost()).version
            write_document(session, paper)
            return version

    assert sorted(together(16, work)) == list(range(2, 18))
    _check(database)
