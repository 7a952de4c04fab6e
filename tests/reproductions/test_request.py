"""Asking for a run: the row is written first, the bell rings after, and the same question has one answer."""

import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.access.scopes import Scope
from app.core.db import Database
from app.core.errors import AppError
from app.core.queue import Doorbell, make_celery
from app.core.settings import QueueSettings, Settings
from app.main import create_app
from app.models import Evidence, Reproduction, VerdictKind
from app.papers.add_version import add_version
from app.papers.change import change_paper
from app.papers.find import lock_paper
from app.papers.ids import PaperRef
from app.papers.schemas import PaperPatch, VersionPost
from app.protocol.axes import ProtocolMatch
from app.protocol.driver import DriverSpec
from app.reproductions.request import request_reproduction
from app.reproductions.schemas import ReproductionPost
from tests.factories.databases import opened
from tests.factories.drivers import SIZE, Subject, make_subject
from tests.factories.keys import make_key
from tests.factories.papers import make_claim
from tests.factories.runs import QUEUE, Bell, ask, read_run, take
from tests.factories.threads import together
from tests.factories.verdicts import conclude_without_rule


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with opened(database_url, pool_size=20) as database:
        yield database


@pytest.fixture
def subject(database: Database) -> Subject:
    return make_subject(database)


def _count(database: Database) -> int:
    with database.unit_of_work() as session:
        return session.scalar(select(func.count()).select_from(Reproduction)) or 0


def _refusal(database: Database, ref: PaperRef, **post: object) -> AppError:
    """The error that the request raises; nothing may be written then."""
    before, bell = _count(database), Bell()
    with pytest.raises(AppError) as refusal, database.unit_of_work() as session:
        request_reproduction(session, ref, ReproductionPost.model_validate(post), QUEUE, bell)
    assert (_count(database), bell.rung) == (before, [])
    return refusal.value


# --- what is written


def test_a_run_is_queued_with_what_it_was_asked_for(database: Database, subject: Subject) -> None:
    queue = QueueSettings(deadline_s=60, max_attempts=7)
    run = read_run(database, ask(database, subject, kind="PRE", priority=2, queue=queue))
    assert (run.state, run.kind, run.priority, run.forced) == ("queued", VerdictKind.PRE, 2, False)
    assert (run.paper_id, run.paper_version_id, run.claim_id) == (
        subject.paper_id,
        subject.version_id,
        subject.claim_id,
    )
    assert (run.attempt, run.max_attempts, run.fence, run.worker, run.lease_until) == (0, 7, 0, None, None)
    assert (run.progress_done, run.progress_total, run.progress_correct) == (0, None, 0)
    assert run.requested_at == run.not_before == run.rung_at == run.deadline_at - timedelta(seconds=60)
    assert DriverSpec.model_validate(run.spec).agent_version == "v0.1.0-tiny"
    with database.unit_of_work() as session:
        assert session.get_one(Evidence, run.evidence_id).content is None


def test_the_bell_rings_once_for_a_new_run_and_after_the_commit(database: Database, subject: Subject) -> None:
    bell = Bell()
    with database.unit_of_work() as session:
        post = ReproductionPost(driver=subject.slug)
        run_id, new = request_reproduction(session, subject.ref, post, QUEUE, bell)
        assert (new, bell.rung) == (True, [])
    assert bell.rung == [str(run_id)]
    assert ask(database, subject, bell) == run_id
    assert bell.rung == [str(run_id)]


def test_a_request_that_is_rolled_back_rings_for_nobody(database: Database, subject: Subject) -> None:
    bell = Bell()
    with pytest.raises(ZeroDivisionError), database.unit_of_work() as session:
        _ask_and_break(session, subject, bell)
    assert (_count(database), bell.rung) == (0, [])


def _ask_and_break(session: Session, subject: Subject, bell: Bell) -> None:
    request_reproduction(session, subject.ref, ReproductionPost(), QUEUE, bell)
    raise ZeroDivisionError


def test_an_empty_question_is_about_the_headline_claim_and_its_only_driver(
    database: Database, subject: Subject
) -> None:
    with database.unit_of_work() as session:
        run_id, _ = request_reproduction(session, subject.ref, ReproductionPost(), QUEUE, Bell())
    run = read_run(database, run_id)
    assert (run.claim_id, run.kind, run.spec["slug"]) == (subject.claim_id, VerdictKind.POST, "tiny")


def test_the_version_that_was_named_is_checked_else_the_latest(database: Database, subject: Subject) -> None:
    with database.unit_of_work() as session:
        second = add_version(session, lock_paper(session, subject.paper_id), VersionPost()).id
        first_run, _ = request_reproduction(
            session, PaperRef(subject.ref.arxiv_id, 1), ReproductionPost(), QUEUE, Bell()
        )
        second_run, _ = request_reproduction(session, subject.ref, ReproductionPost(), QUEUE, Bell())
    assert read_run(database, first_run).paper_version_id == subject.version_id
    assert read_run(database, second_run).paper_version_id == second


# --- the same question


def test_sixteen_who_ask_at_once_get_one_run(database: Database, subject: Subject) -> None:
    bell = Bell()

    def work(_: int) -> tuple[UUID, bool]:
        with database.unit_of_work() as session:
            return request_reproduction(session, subject.ref, ReproductionPost(), QUEUE, bell)

    answers = together(16, work)
    assert len({run_id for run_id, _ in answers}) == 1
    assert sum(new for _, new in answers) == 1
    assert _count(database) == 1
    assert bell.rung == [str(answers[0][0])]


def test_a_run_that_is_being_taken_is_still_the_same_one(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    take(database)
    assert ask(database, subject) == run_id


def test_another_priority_is_no_other_question(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject, priority=5)
    assert ask(database, subject, priority=0) == run_id
    assert read_run(database, run_id).priority == 5


@pytest.mark.parametrize("other", [{"kind": "PRE"}, {"slice_size": 6}, {"force": True}])
def test_another_question_is_another_run(other: dict[str, Any], database: Database, subject: Subject) -> None:
    assert ask(database, subject) != ask(database, subject, **other)
    assert _count(database) == 2


def test_after_its_end_the_same_question_is_a_new_run(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    with database.unit_of_work() as session:
        conclude_without_rule(session, subject, take(database))
    assert ask(database, subject) != run_id


def test_forced_runs_are_always_new_and_answer_for_nobody_else(database: Database, subject: Subject) -> None:
    forced = together(8, lambda _: ask(database, subject, force=True))
    assert len(set(forced)) == 8
    plain = ask(database, subject)
    assert plain not in forced
    assert ask(database, subject) == plain
    assert _count(database) == 9


def test_a_driver_that_changed_makes_another_question(database: Database, subject: Subject) -> None:
    before = ask(database, subject)
    make_subject(database, decision={"margin": 0.03})
    after = ask(database, subject)
    assert after != before
    assert read_run(database, before).spec["decision"]["margin"] == 0.01
    assert read_run(database, after).spec["decision"]["margin"] == 0.03


# --- slices


def _spec(database: Database, run_id: UUID) -> DriverSpec:
    return DriverSpec.model_validate(read_run(database, run_id).spec)


def test_a_part_of_the_full_split_is_a_simple_slice_and_says_so(database: Database, subject: Subject) -> None:
    spec = _spec(database, ask(database, subject, slice_size=6))
    assert (spec.slice.kind, spec.slice.size, spec.slice.seed) == ("simple", 6, 0)
    assert spec.protocol.data == "probability_slice"
    assert spec.protocol.match is ProtocolMatch.proxy
    assert (spec.protocol.metric, spec.protocol.inference) == ("same", "same")


def test_all_of_the_full_split_is_the_full_split(database: Database, subject: Subject) -> None:
    whole = ask(database, subject, slice_size=SIZE)
    spec = _spec(database, whole)
    assert (spec.slice.kind, spec.slice.size, spec.protocol.data) == ("full", None, "full_split")
    assert ask(database, subject) == whole


def test_a_balanced_slice_stays_balanced(database: Database) -> None:
    subject = make_subject(
        database, slice={"kind": "balanced", "size": 9, "seed": 4}, protocol={"data": "probability_slice"}
    )
    spec = _spec(database, ask(database, subject, slice_size=3))
    assert (spec.slice.kind, spec.slice.size, spec.slice.seed) == ("balanced", 3, 4)
    refusal = _refusal(database, subject.ref, slice_size=2)
    assert (refusal.code, refusal.status) == ("slice_invalid", 422)


def test_a_slice_of_another_split_stays_one(database: Database) -> None:
    subject = make_subject(database, slice={"kind": "simple", "size": 9, "seed": 4}, protocol={"data": "other_split"})
    spec = _spec(database, ask(database, subject, slice_size=SIZE))
    assert (spec.slice.kind, spec.slice.size, spec.protocol.data) == ("simple", SIZE, "other_split")


def test_a_slice_is_no_larger_than_its_split(database: Database, subject: Subject) -> None:
    refusal = _refusal(database, subject.ref, slice_size=SIZE + 1)
    assert (refusal.code, refusal.status) == ("slice_invalid", 422)
    assert "12 at most" in refusal.detail


# --- refusals


def test_a_withdrawn_paper_is_not_measured(database: Database, subject: Subject) -> None:
    with database.unit_of_work() as session:
        change_paper(session, lock_paper(session, subject.paper_id), PaperPatch(withdrawn=True))
    refusal = _refusal(database, subject.ref)
    assert (refusal.code, refusal.status) == ("paper_withdrawn", 409)


def test_what_is_not_there_is_named(database: Database, subject: Subject) -> None:
    with database.unit_of_work() as session:
        bare = make_claim(session, lock_paper(session, subject.paper_id), row="Another model").id
    other = make_subject(database, "other", "2101.00002")
    refused = {
        "paper_not_found": _refusal(database, PaperRef("2101.09999")),
        "version_not_found": _refusal(database, PaperRef(subject.ref.arxiv_id, 9)),
        "driver_not_found": _refusal(database, subject.ref, driver="nowhere"),
        "claim_without_driver": _refusal(database, subject.ref, claim=bare),
        "claim_not_found": _refusal(database, subject.ref, claim=other.claim_id),
        "driver_of_other_claim": _refusal(database, subject.ref, driver="other"),
    }
    assert {code: error.code for code, error in refused.items()} == {code: code for code in refused}
    assert "GET /v1/drivers" in refused["claim_without_driver"].detail  # what to do over the API
    mismatch = _refusal(database, subject.ref, driver="other", claim=subject.claim_id)
    assert mismatch.code == "driver_of_other_claim"


# --- Redis is away


@pytest.fixture
def redis_that_is_down() -> Iterator[str]:
    with socket.socket() as taken:  # taken, so that nobody listens there
        taken.bind(("127.0.0.1", 0))
        yield f"redis://127.0.0.1:{taken.getsockname()[1]}/0"


def test_with_redis_down_a_run_is_accepted_at_once(
    database: Database, subject: Subject, redis_that_is_down: str
) -> None:
    doorbell = Doorbell(make_celery(redis_that_is_down))
    started = time.monotonic()
    run_id = ask(database, subject, doorbell)
    assert time.monotonic() - started < 30
    doorbell.close()
    assert take(database).reproduction_id == run_id


def test_with_redis_down_a_post_is_still_a_fast_202(
    database_url: str, database: Database, subject: Subject, redis_that_is_down: str
) -> None:
    settings = Settings(database_url=database_url, redis_url=redis_that_is_down)
    headers = {"Authorization": f"Bearer {make_key(database, Scope.reproduce).key}"}
    with TestClient(create_app(settings)) as client:
        client.get("/healthz")
        started = time.monotonic()
        response = client.post(f"/v1/papers/{subject.ref.arxiv_id}/reproductions", json={}, headers=headers)
        assert time.monotonic() - started < 30
    assert response.status_code == 202, response.text
    body = response.json()
    assert response.headers["location"] == f"/v1/reproductions/{body['id']}"
    assert (body["state"], body["done"], body["queue_position"]) == ("queued", False, 1)
    assert str(take(database).reproduction_id) == body["id"]
