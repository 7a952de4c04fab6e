"""What comes from memory is what FastAPI answers: the same bytes, headers and errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from httpx2 import Response

from app.core.db import Database
from app.hot.subjects import subject_of
from app.reproductions.lease import Beat, hand_back, heartbeat
from tests.api.helpers import DRAFT, NOBODY, PAPER, Api, ok
from tests.factories.runs import QUEUE, take

pytestmark = pytest.mark.usefixtures("catalogue")

CODINGS = (
    "identity",
    "gzip",
    "br",
    "zstd",
    "gzip, br;q=0",
    "zstd;q=0, *",
    "compress",
    "gzip;q=0.001, identity;q=1",
    "br;q=0.1, gzip",
    "",
)


@contextmanager
def from_memory(client: Api, *, often: bool) -> Iterator[None]:
    state = client.app.state  # type: ignore[attr-defined]

    def hits() -> int:
        state.journal.flush()
        return int(state.serving.hits + state.journal.by_lane())

    before = hits()
    yield
    assert (hits() > before) is often


@pytest.fixture
def addresses(client: Api) -> list[str]:
    client.post_verdict()
    run = ok(client.post(f"/v1/papers/{PAPER}/reproductions", json={"kind": "PRE"}), 202)["id"]
    ok(client.post(f"/v1/reproductions/{run}/cancel"))
    waiting = ok(client.post(f"/v1/papers/{PAPER}/reproductions", json={}), 202)["id"]
    paper = f"/v1/papers/{PAPER}"
    return [
        paper,
        f"{paper}v1",
        f"{paper}/verdicts",
        f"{paper}v1/verdicts",
        f"{paper}/badge.json",
        f"{paper}/badge.svg",
        f"/v1/papers/{DRAFT}",
        f"/v1/reproductions/{run}",
        f"/v1/reproductions/{waiting}",
    ]


def by_fastapi(client: Api, path: str, headers: dict[str, str], method: str = "GET") -> Response:
    """The same question in a spelling that is not hot."""
    with from_memory(client, often=False):
        return client.request(method, f"{path}?not=hot", headers=headers)


def facts(response: Response) -> Any:  # noqa: ANN401  # for comparison
    return response.status_code, response.content, sorted(response.headers.raw)


def test_bytes_and_headers_in_every_coding(client: Api, addresses: list[str]) -> None:
    for path in addresses:
        for coding in CODINGS:
            headers = {"Accept-Encoding": coding}
            expected = facts(by_fastapi(client, path, headers))
            assert facts(client.get(path, headers=headers)) == expected, (path, coding)
            with from_memory(client, often=True):
                assert facts(client.get(path, headers=headers)) == expected, (path, coding)


def test_conditions_and_heads(client: Api, addresses: list[str]) -> None:
    for path in addresses:
        for coding in ("identity", "br"):
            tag = client.get(path, headers={"Accept-Encoding": coding}).headers["etag"]
            plain = client.get(path, headers={"Accept-Encoding": "identity"}).headers["etag"]
            for held in (tag, plain, f"W/{tag}", '"x"', f'"x", W/{tag}', "*", "", f'{tag}, "y"'):
                for method in ("GET", "HEAD"):
                    headers = {"Accept-Encoding": coding, "If-None-Match": held}
                    expected = facts(by_fastapi(client, path, headers, method))
                    with from_memory(client, often=True):
                        got = client.request(method, path, headers=headers)
                    assert facts(got) == expected, (path, coding, held, method)


def test_from_a_page_of_another_origin(client: Api, addresses: list[str]) -> None:
    for path in addresses:
        headers = {"Origin": "https://example.org", "Accept-Encoding": "identity"}
        expected = facts(by_fastapi(client, path, headers))
        client.get(path, headers={"Accept-Encoding": "identity"})
        with from_memory(client, often=True):
            assert facts(client.get(path, headers=headers)) == expected
        assert dict(client.get(path, headers=headers).headers)["access-control-allow-origin"] == "*"


def test_a_read_that_is_meant_for_another_state(client: Api, addresses: list[str]) -> None:
    for path in addresses:
        tag = client.get(path).headers["etag"]
        for named, status in ((tag, 200), ("*", 200), (f"W/{tag}", 412), ('"x"', 412)):
            expected = facts(by_fastapi(client, path, {"If-Match": named}))
            assert expected[0] == status
            assert facts(client.get(path, headers={"If-Match": named})) == expected, (path, named)


def test_to_whoever_sends_a_key(client: Api, addresses: list[str]) -> None:
    for path in addresses:
        answer = client.get(path, headers={"Accept-Encoding": "identity"})
        headers = {"Authorization": f"Bearer {client.key}", "Accept-Encoding": "identity"}
        with from_memory(client, often=True):
            assert facts(client.get(path, headers=headers)) == facts(answer)
        for wrong in ("Bearer nonsense", f"Bearer {client.key}x", "Basic eA==", ""):
            refusal = by_fastapi(client, path, {"Authorization": wrong})
            assert refusal.status_code == 401
            assert facts(client.get(path, headers={"Authorization": wrong})) == facts(refusal)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/papers/2999.99999",
        "/v1/papers/2101.00001",
        f"/v1/papers/{PAPER}v9",
        "/v1/papers/nonsense",
        f"/v1/papers/{PAPER}/nothing",
        "/v1/papers/hep-th/9901001",
        "/v1/papers/hep-th/9901001/verdicts",
        f"/v1/papers/{PAPER}v1/badge.json",
        f"/v1/reproductions/{NOBODY}",
        "/v1/reproductions/17",
    ],
)
def test_errors(client: Api, path: str) -> None:
    for method in ("GET", "HEAD", "DELETE"):
        expected = facts(by_fastapi(client, path, {}, method))
        assert expected[0] >= 400
        for _ in range(2):
            assert facts(client.request(method, path)) == expected


def test_the_former_id_of_a_draft_leads_on_and_what_was_kept_under_it_is_forgotten(client: Api) -> None:
    paths = [f"/v1/papers/{DRAFT}{below}" for below in ("", "/verdicts", "/badge.json", "/badge.svg")]
    for path in paths:
        assert client.get(path).status_code == 200
        with from_memory(client, often=True):
            assert client.get(path).status_code == 200
    ok(client.patch(f"/v1/papers/{DRAFT}", json={"arxiv_id": "2101.00001"}))
    for path in paths:
        assert client.get(path).status_code == 308
        assert client.get(path).headers["location"] == path.replace(DRAFT, "2101.00001")
        assert client.get(path.replace(DRAFT, "2101.00001")).status_code == 200


def test_a_paper_that_comes_is_there(client: Api) -> None:
    path = "/v1/papers/2101.00001"
    assert client.get(path).status_code == 404
    assert ok(client.get(f"{path}/badge.json"))["message"] == "no verdict"
    client.put_paper("2101.00001")
    ok(client.get(path))
    client.post_claim("2101.00001")
    client.post_verdict("2101.00001")
    assert ok(client.get(f"{path}/badge.json"))["message"] == "reproduced"


def test_a_run_that_moves_on_is_shown_as_it_is(client: Api, database: Database) -> None:
    run = ok(client.post(f"/v1/papers/{PAPER}/reproductions", json={}), 202)["id"]
    path = f"/v1/reproductions/{run}"
    shown = ok(client.get(path))
    with from_memory(client, often=True):
        assert ok(client.get(path)) == shown
    assert client.get(path).headers["retry-after"] == "1"
    lease = take(database)
    for done in (10, 20):
        with database.unit_of_work() as session:
            heartbeat(session, lease, Beat(stage="predicting", done=done, total=100, correct=done - 1), [], QUEUE)
        for _ in range(2):
            assert ok(client.get(path))["progress"] == {"done": done, "total": 100, "correct": done - 1}
    with database.unit_of_work() as session:
        hand_back(session, lease)
    assert ok(client.get(path))["state"] == "queued"


def test_a_place_in_the_queue_moves_up(client: Api) -> None:
    first = ok(client.post(f"/v1/papers/{PAPER}/reproductions", json={"force": True}), 202)["id"]
    second = ok(client.post(f"/v1/papers/{PAPER}/reproductions", json={"force": True}), 202)["id"]
    assert ok(client.get(f"/v1/reproductions/{second}"))["queue_position"] == 2
    ok(client.post(f"/v1/reproductions/{first}/cancel"))
    assert ok(client.get(f"/v1/reproductions/{second}"))["queue_position"] == 1


def test_a_get_with_a_body_is_not_answered_from_memory(client: Api) -> None:
    path = f"/v1/papers/{PAPER}"
    ok(client.get(path))
    with from_memory(client, often=False):
        ok(client.request("GET", path, content=b"{}"))


@pytest.mark.parametrize(
    "path", ["/v1/papers", "/v1/verdicts", "/healthz", f"/v1/papers/{PAPER}/claims", "/v1/papers/"]
)
def test_all_else_is_nobodys_subject(path: str) -> None:
    assert subject_of(path) is None
