"""`Prefer: wait=N`: the answer comes when the run has ended, or after N seconds."""

from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic, sleep

import pytest
from httpx2 import Response
from sqlalchemy.exc import OperationalError

from app.core.conditions import LONGEST_WAIT_S, wait_of
from app.core.db import Database
from app.core.settings import Settings
from app.reproductions.lease import confirm_cancel
from tests.access.helpers import service
from tests.api.helpers import PAPER, Api, ok, refused
from tests.factories.runs import take

pytestmark = pytest.mark.usefixtures("catalogue")


@pytest.fixture
def path(client: Api) -> str:
    return f"/v1/reproductions/{ok(client.post(f'/v1/papers/{PAPER}/reproductions', json={}), 202)['id']}"


def waiting(client: Api) -> int:
    found: int = client.app.state.serving.waiting.present  # type: ignore[attr-defined]
    return found


def wait_until_waiting(client: Api, number: int) -> None:
    deadline = monotonic() + 60
    while waiting(client) != number:
        assert monotonic() < deadline
        sleep(0.005)


def test_whoever_waits_is_answered_when_the_run_ends(client: Api, path: str) -> None:
    def ask(number: int) -> Response:
        key = {"Authorization": f"Bearer {client.key}"} if number % 2 else {}
        return client.get(path, headers={"Prefer": "wait=30", **key})

    with ThreadPoolExecutor(8) as threads:
        answers: list[Future[Response]] = [threads.submit(ask, number) for number in range(8)]
        wait_until_waiting(client, 8)
        ok(client.post(f"{path}/cancel"))
        for answer in answers:
            assert ok(answer.result())["state"] == "cancelled"
            assert answer.result().headers["preference-applied"] == "wait=30"
    assert waiting(client) == 0


def test_a_running_one_too(client: Api, database: Database, path: str) -> None:
    lease = take(database)
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(client.get, path, headers={"Prefer": "respond-async, wait=30"})
        wait_until_waiting(client, 1)
        with database.unit_of_work() as session:
            confirm_cancel(session, lease)
        assert ok(answer.result())["state"] == "cancelled"


def test_where_reading_takes_a_key(client: Api, settings: Settings, path: str) -> None:
    asked = {"Prefer": "wait=30", "Authorization": f"Bearer {client.key}"}
    tag = client.get(path, headers={"Accept-Encoding": "identity"}).headers["etag"]
    with service(settings, reads="keys") as closed, ThreadPoolExecutor(2) as threads:
        refused(closed.get(path, headers={"Prefer": "wait=30"}), 401, "key_required")
        answers = [threads.submit(closed.get, path, headers=asked | more) for more in ({}, {"If-None-Match": tag})]
        wait_until_waiting(closed, 2)
        ok(client.post(f"{path}/cancel"))
        for answer in answers:
            assert ok(answer.result())["state"] == "cancelled"
            headers = answer.result().headers
            assert (headers["preference-applied"], headers["cache-control"]) == ("wait=30", "private, no-cache")
        held = closed.get(path, headers=asked | {"If-None-Match": answers[0].result().headers["etag"]})
        assert (held.status_code, held.headers["preference-applied"]) == (304, "wait=30")


def test_a_problem_is_not_waited_on(client: Api, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise OperationalError("SELECT", {}, Exception())

    monkeypatch.setattr("app.reproductions.endpoints.read_reproduction", away)
    answer = client.get(path, headers={"Prefer": "wait=30"})
    refused(answer, 503, "database_unavailable")
    assert "preference-applied" not in answer.headers


def test_after_the_time_the_answer_is_the_present_state(client: Api, path: str) -> None:
    answer = client.get(path, headers={"Prefer": "wait=1"})
    assert ok(answer)["state"] == "queued"
    assert (answer.headers["preference-applied"], answer.headers["retry-after"]) == ("wait=1", "1")


def test_a_run_that_has_ended_is_not_waited_for(client: Api, path: str) -> None:
    ok(client.post(f"{path}/cancel"))
    for _ in range(2):
        answer = client.get(path, headers={"Prefer": "wait=30"})
        assert ok(answer)["done"]
        assert answer.headers["preference-applied"] == "wait=30"
    assert "preference-applied" not in client.get(path).headers


def test_what_is_no_run_has_nothing_to_wait_for(client: Api) -> None:
    for other in (f"/v1/papers/{PAPER}", "/v1/reproductions/00000000-0000-7000-8000-000000000000"):
        for _ in range(2):
            assert "preference-applied" not in client.get(other, headers={"Prefer": "wait=30"}).headers


def test_those_above_the_bound_are_answered_at_once(client: Api, path: str) -> None:
    client.app.state.serving.waiting._most = 0  # type: ignore[attr-defined]
    answer = client.get(path, headers={"Prefer": "wait=30"})
    assert ok(answer)["state"] == "queued"
    assert "preference-applied" not in answer.headers


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("wait=5", 5),
        ("Wait = 5", 5),
        ('wait="7"', 7),
        ("respond-async, wait=3", 3),
        ("wait=3; x=1, return=minimal", 3),
        ("wait=99999", LONGEST_WAIT_S),
        ("wait=0", 0),
        ("wait=-1", 0),
        ("wait=1.5", 0),
        ("wait", 0),
        ("await=5", 0),
        ("wait=99999999999999999999", 0),
        ("", 0),
    ],
)
def test_the_header(prefer: str, seconds: int) -> None:
    assert wait_of(prefer) == seconds
