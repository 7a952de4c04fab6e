"""THE transaction: the new verdict is current, the one before says so, and the document shows it, all or nothing."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.core.db import Database
from app.models import Paper, PaperDocument, Verdict, VerdictKind
from app.papers.change import change_paper
from app.papers.document import EPOCH, build_document
from app.papers.find import lock_paper
from app.papers.schemas import PaperDocumentRead, PaperPatch
from app.verdicts import issue as issuing
from app.verdicts.issue import current_verdict, issue
from tests.factories.drivers import Subject, make_subject
from tests.factories.papers import make_claim
from tests.factories.verdicts import issue_verdict, new_verdict

PRE, POST = VerdictKind.PRE, VerdictKind.POST


@pytest.fixture
def subject(database: Database) -> Subject:
    return make_subject(database)


def _verdict(database: Database, verdict_id: UUID) -> Verdict:
    with database.unit_of_work() as session:
        return session.get_one(Verdict, verdict_id)


def _document(database: Database, subject: Subject) -> PaperDocumentRead:
    with database.unit_of_work() as session:
        stored = session.get_one(PaperDocument, subject.paper_id).body
        built = build_document(session, session.get_one(Paper, subject.paper_id))
    assert built is not None
    assert stored == built.model_dump_json().encode()
    return built


def _paper(database: Database, subject: Subject) -> Paper:
    with database.unit_of_work() as session:
        return session.get_one(Paper, subject.paper_id)


def test_the_first_verdict_opens_its_line(database: Database, subject: Subject) -> None:
    verdict = _verdict(database, issue_verdict(database, subject))
    assert (verdict.sequence, verdict.is_current, verdict.supersedes_id) == (1, True, None)
    assert (verdict.superseded_by_id, verdict.superseded_at) == (None, None)
    assert verdict.paper_id == subject.paper_id


def test_a_new_verdict_takes_over_and_the_one_before_keeps_its_text(database: Database, subject: Subject) -> None:
    first = _verdict(database, issue_verdict(database, subject, status="inconclusive", score=0.7))
    second_id = issue_verdict(database, subject, status="not_reproduced", score=0.1)
    before, second = _verdict(database, first.id), _verdict(database, second_id)
    assert (second.sequence, second.is_current, second.supersedes_id) == (2, True, first.id)
    assert (before.is_current, before.superseded_by_id) == (False, second_id)
    assert before.superseded_at is not None
    assert before.superseded_at >= second.computed_at
    flipped = {"is_current", "superseded_by_id", "superseded_at"}
    columns = [column.name for column in Verdict.__table__.columns if column.name not in flipped]
    assert [getattr(before, name) for name in columns] == [getattr(first, name) for name in columns]


def test_the_kinds_are_separate_lines(database: Database, subject: Subject) -> None:
    post, pre = issue_verdict(database, subject, kind=POST), issue_verdict(database, subject, kind=PRE)
    assert [_verdict(database, one).sequence for one in (post, pre)] == [1, 1]
    with database.unit_of_work() as session:
        for kind, expected in ((POST, post), (PRE, pre)):
            current = current_verdict(session, subject.claim_id, kind)
            assert current is not None
            assert current.id == expected


def test_the_claims_are_separate_lines_and_the_headline_speaks_for_the_paper(
    database: Database, subject: Subject
) -> None:
    with database.unit_of_work() as session:
        other = make_claim(session, lock_paper(session, subject.paper_id), row="Another model").id
    headline = issue_verdict(database, subject)
    aside = issue_verdict(database, subject, claim_id=other, status="not_reproduced")
    assert _verdict(database, aside).sequence == 1
    document = _document(database, subject)
    assert document.verdict is not None
    assert document.verdict.id == headline
    assert _paper(database, subject).headline_status == "reproduced"
    with database.unit_of_work() as session:
        change_paper(session, lock_paper(session, subject.paper_id), PaperPatch(headline_claim=other))
    document = _document(database, subject)
    assert document.verdict is not None
    assert document.verdict.id == aside
    assert _paper(database, subject).headline_status == "not_reproduced"


def test_the_document_shows_the_current_verdict_of_each_kind_and_prefers_post(
    database: Database, subject: Subject
) -> None:
    empty = _document(database, subject)
    assert (empty.verdict, empty.verdicts.post, empty.verdicts.pre) == (None, None, None)
    pre = issue_verdict(database, subject, kind=PRE, status="inconclusive")
    document = _document(database, subject)
    assert document.verdict is not None
    assert (document.verdict.id, document.verdicts.post) == (pre, None)
    for status in ("not_reproduced", "reproduced"):
        post = issue_verdict(database, subject, status=status)
        document = _document(database, subject)
        assert document.verdict is not None
        assert document.verdicts.post is not None
        assert document.verdicts.pre is not None
        assert (document.verdict.id, document.verdicts.post.id, document.verdicts.pre.id) == (post, post, pre)
        assert _paper(database, subject).headline_status == status


def test_the_paper_knows_its_newest_verdict(database: Database, subject: Subject) -> None:
    assert _paper(database, subject).newest_verdict_at == EPOCH
    newest, older = datetime(2026, 5, 14, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)
    issue_verdict(database, subject, computed_at=newest)
    issue_verdict(database, subject, kind=PRE, computed_at=older)
    assert _paper(database, subject).newest_verdict_at == newest


def test_ids_and_times_that_are_given_are_kept(database: Database, subject: Subject) -> None:
    known, moment = uuid4(), datetime(2026, 5, 14, 23, 56, 1, 683000, tzinfo=UTC)
    assert issue_verdict(database, subject, id=known, computed_at=moment) == known
    assert _verdict(database, known).computed_at == moment


@pytest.mark.parametrize("there", [0, 1])
def test_what_fails_after_the_flip_leaves_nothing(
    there: int, database: Database, subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [issue_verdict(database, subject) for _ in range(there)]
    shown = _document(database, subject)

    def fail(session: Session, paper: Paper) -> str:
        session.flush()  # the new verdict is inserted, the one before is flipped
        assert len(session.scalars(select(Verdict)).all()) == there + 1
        raise ZeroDivisionError(paper.arxiv_id)

    monkeypatch.setattr(issuing, "write_document", fail)
    with pytest.raises(ZeroDivisionError):
        issue_verdict(database, subject)
    with database.unit_of_work() as session:
        verdicts = session.scalars(select(Verdict)).all()
    assert [(verdict.id, verdict.is_current) for verdict in verdicts] == [(one, True) for one in before]
    assert _document(database, subject) == shown


def test_the_database_refuses_an_issue_that_breaks_the_chain(database: Database, subject: Subject) -> None:
    stranger = make_subject(database, "other", "2101.00002")
    with pytest.raises(IntegrityError) as refusal, database.unit_of_work() as session:
        issue(session, lock_paper(session, subject.paper_id), new_verdict(stranger))
    assert getattr(refusal.value.orig, "sqlstate", None) == "23503"
