"""Idempotency-Key over HTTP: for every POST that makes something, each caller's its own, at once and after a crash."""

from typing import Any

import pytest
from httpx2 import Response
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from app.access.idempotency import Answer, once
from app.access.scopes import Scope
from app.core.db import Database
from tests.access.helpers import with_key
from tests.api.helpers import DRIVER, PAPER, Api, at_once, claim_body, counts_body, ok, refused, state_of, unchanged
from tests.factories.keys import make_key

PATH = f"/v1/papers/{PAPER}"
MAKERS: list[tuple[str, dict[str, Any], str]] = [
    ("claims", claim_body(row="Another"), "claims"),
    ("versions", {"rendering_engine": "an engine"}, "paper_versions"),
    ("verdicts", counts_body(), "verdicts"),
    ("reproductions", {"driver": DRIVER, "force": True}, "reproductions"),
]
OTHER: dict[str, dict[str, Any]] = {
    "claims": {"notes": "x"},
    "versions": {"rendering_engine": "another"},
    "verdicts": {"kind": "PRE"},
    "reproductions": {"kind": "PRE"},
}

pytestmark = pytest.mark.usefixtures("catalogue")


def post(client: Api, below: str, body: object, key: str = "a key") -> Response:
    return client.post(f"{PATH}/{below}", json=body, headers={"Idempotency-Key": key})


def rows(database: Database, table: str) -> int:
    return state_of(database)[table][0]


@pytest.mark.parametrize(("below", "body", "table"), MAKERS)
def test_the_same_request_gives_the_same_answer_and_makes_one_thing(
    below: str, body: dict[str, Any], table: str, client: Api, database: Database
) -> None:
    before = rows(database, table)
    first = post(client, below, body)
    assert first.status_code in {201, 202}
    assert "idempotent-replayed" not in first.headers
    with unchanged(database):
        for key in ("a key", '"a key"'):  # as a structured field, too
            again = post(client, below, body, key)
            assert (again.status_code, again.content) == (first.status_code, first.content)
            same = {"location", "etag", "content-type", "cache-control", "retry-after"} & set(first.headers)
            assert {name: again.headers[name] for name in same} == {name: first.headers[name] for name in same}
            assert again.headers["idempotent-replayed"] == "true"
            assert "location" in same
    assert rows(database, table) == before + 1


@pytest.mark.parametrize(("below", "body", "table"), MAKERS)
def test_the_same_key_with_another_body_or_address_is_refused(
    below: str, body: dict[str, Any], table: str, client: Api, database: Database
) -> None:
    assert post(client, below, body).status_code in {201, 202}
    before = rows(database, table)
    with unchanged(database):
        refused(post(client, below, {**body, **OTHER[below]}), 422, "idempotency_key_reused")
        elsewhere = "versions" if below != "versions" else "reproductions"
        refused(post(client, elsewhere, {}), 422, "idempotency_key_reused")
    assert rows(database, table) == before


def test_a_request_that_was_refused_may_be_repeated(client: Api) -> None:
    refused(post(client, "claims", claim_body(row="x", reported_value="101")), 422, "claim_value_invalid")
    ok(post(client, "claims", claim_body(row="x")), 201)


def test_each_callers_keys_are_its_own(client: Api, database: Database) -> None:
    mine, theirs = make_key(database, Scope.curate), make_key(database, Scope.curate)
    headers = {"Idempotency-Key": "1"}
    answers = [
        with_key(client, key, "POST", f"{PATH}/versions", json={}, headers=headers) for key in (mine, theirs, mine)
    ]
    assert [ok(answer, 201)["version"] for answer in answers] == [2, 3, 2]


def test_at_once_they_are_one(client: Api, database: Database) -> None:
    answers = at_once_or_after(client, database, 6)
    assert {answer.content for answer in answers} == {answers[0].content}
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 5
    assert ok(client.get(PATH))["paper"]["latest_version"] == 2


def at_once_or_after(client: Api, database: Database, number: int) -> list[Response]:
    """All of them wait: one for the paper's row, the others for the one."""
    return at_once(database, [lambda: post(client, "versions", {})] * number)


def test_without_a_key_each_is_a_request_of_its_own(client: Api) -> None:
    assert [ok(client.post(f"{PATH}/versions", json={}), 201)["version"] for _ in range(2)] == [2, 3]


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_has_a_length(client: Api, key: str) -> None:
    refused(post(client, "versions", {}, key), 422, "validation_failed", "header.Idempotency-Key")


def test_who_dies_before_the_commit_leaves_nothing_and_who_dies_after_it_leaves_the_answer(database: Database) -> None:
    done = []

    def work() -> Answer:
        done.append(1)
        return Answer(201, {}, str(len(done)).encode())

    def dies(session: Any) -> Answer:  # noqa: ANN401  # a session
        answer = work()
        session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        return answer

    with pytest.raises(OperationalError), database.unit_of_work() as session:
        once(session, "caller", "key", b"request", lambda: dies(session))
    for kept in (False, True):  # the process may die after either
        with database.unit_of_work() as session:
            answer = once(session, "caller", "key", b"request", work)
        assert answer == (Answer(201, {}, b"2"), kept)
    assert len(done) == 2
