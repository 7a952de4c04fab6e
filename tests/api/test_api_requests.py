"""What is done for every request: its id, its line in the log, its place in the metrics, pages of other origins."""

import gc
import io
import json
import re

import pytest
from fastapi import FastAPI
from starlette.middleware.base import BaseHTTPMiddleware  # noqa: TID251  # to see that nobody has one

from app.core.db import Database
from app.core.settings import QueueSettings, Settings
from app.main import create_app
from app.reproductions.lease import take_run
from app.reproductions.swept import count_actions
from tests.api.helpers import DRIVER, NOBODY, PAPER, Api, Json, ok
from tests.factories.keys import make_key
from tests.factories.runs import take

ID = re.compile(r"[0-9a-f]{12}-[0-9a-f]+")


@pytest.fixture
def lines() -> io.BytesIO:
    return io.BytesIO()


@pytest.fixture
def app(settings: Settings, lines: io.BytesIO) -> FastAPI:
    app = create_app(settings)
    app.state.journal._log, app.state.journal._stream = True, lines
    return app


def logged(client: Api, lines: io.BytesIO) -> list[Json]:
    """Everything that is in the log by now."""
    client.get("/metrics")  # counts what was noted, and so writes it
    return [json.loads(line) for line in lines.getvalue().splitlines() if b'"/metrics"' not in line]


def test_every_answer_has_an_id_of_its_own(client: Api) -> None:
    del client.headers["X-Request-Id"]
    client.put_paper()
    paths = [f"/v1/papers/{PAPER}"] * 3 + ["/v1/papers", f"/v1/claims/{NOBODY}", "/nothing", "/healthz"]
    ids = [client.get(path).headers["x-request-id"] for path in paths]
    assert len(set(ids)) == len(paths)
    assert all(ID.fullmatch(one) for one in ids)


@pytest.mark.parametrize("given", ["abc", "A.b_c-9", "x" * 128])
def test_an_id_that_the_request_came_with_is_kept(client: Api, lines: io.BytesIO, given: str) -> None:
    for path in ("/healthz", f"/v1/claims/{NOBODY}"):
        assert client.get(path, headers={"X-Request-Id": given}).headers["x-request-id"] == given
    assert [line["request_id"] for line in logged(client, lines)] == [given] * 2


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", 'a"b', "a\x7f", "ä"])
def test_one_that_could_not_stand_in_a_log_is_replaced(client: Api, given: str) -> None:
    answer = client.get("/healthz", headers={b"X-Request-Id": given.encode("latin-1")})
    assert ID.fullmatch(answer.headers["x-request-id"])


def test_each_request_is_a_line(client: Api, lines: io.BytesIO) -> None:
    client.put_paper()
    paper = f"/v1/papers/{PAPER}"
    asked: list[tuple[str, str, str, int]] = [
        ("GET", paper, "/v1/papers/{paper_id}", 200),
        ("GET", paper, "/v1/papers/{paper_id}", 200),
        ("HEAD", f"{paper}/verdicts", "/v1/papers/{paper_id}/verdicts", 200),
        ("GET", "/v1/papers?q=%22%0A", "/v1/papers", 200),
        ("HEAD", "/v1/verdicts", "/v1/verdicts", 200),
        ("DELETE", "/v1/verdicts", "/v1/verdicts", 405),
        ("GET", "/nothing/at\u2028all", "unmatched", 404),
    ]
    answers = [client.request(method, path) for method, path, *_ in asked]
    found = logged(client, lines)[1:]
    assert [(line["method"], line["status"]) for line in found] == [(method, status) for method, _, _, status in asked]
    assert [line["bytes"] for line in found] == [int(a.headers["content-length"]) * bool(a.content) for a in answers]
    assert found[3]["path"] == "/v1/papers?q=%22%0A"
    assert found[-1]["path"] == "/nothing/at\u2028all"
    routes = [line["route"] for line in found]
    assert routes == [route for _, _, route, _ in asked]
    for line in found:
        assert line["microseconds"] >= 0
        assert line["client"] == "testclient"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["timestamp"])


def test_a_line_cannot_be_forged(client: Api, lines: io.BytesIO) -> None:
    client.get("/x%22,%22status%22:200}%0A{%22event%22:%22forged")
    client.get("/healthz", headers={b"X-Request-Id": b'a","event":"forged'})
    found = logged(client, lines)
    assert [line["event"] for line in found] == ["request", "request"]
    assert [line["status"] for line in found] == [404, 200]


@pytest.mark.parametrize("dot", [".", "%2E", "%2e"])
def test_a_key_in_an_address_is_not_logged(client: Api, lines: io.BytesIO, dot: str) -> None:
    key = make_key(client.app.state.database).key  # type: ignore[attr-defined]  # the application is ours
    prefix, secret = key.split(".")
    for path in (f"/v1/papers?key={prefix}{dot}{secret}&limit=1", f"/{prefix}.{secret}"):
        client.get(path)
    found = logged(client, lines)
    assert [line["path"] for line in found] == [f"/v1/papers?key={prefix}{dot}…&limit=1", f"/{prefix}.…"]
    assert secret.encode() not in lines.getvalue()


def test_requests_are_counted_by_operation_and_not_by_address(client: Api) -> None:
    client.put_paper()
    for number in range(20):
        client.get(f"/v1/papers/2101.{number:05}")
    for _ in range(3):
        ok(client.get(f"/v1/papers/{PAPER}"))
    client.request("BREW", "/healthz")
    text = client.get("/metrics").text
    assert 'http_requests_total{method="GET",route="/v1/papers/{paper_id}",status="404"} 20.0' in text
    assert 'http_requests_total{method="GET",route="/v1/papers/{paper_id}",status="200"} 3.0' in text
    assert 'http_requests_total{method="other",' in text
    assert 'http_request_seconds_count{route="/v1/papers/{paper_id}"} 24.0' in text  # the PUT, too
    assert "2101." not in text


def test_the_queue_and_the_memory_are_in_the_metrics(client: Api, database: Database, catalogue: object) -> None:
    del catalogue
    ok(client.post(f"/v1/papers/{PAPER}/reproductions", json={}), 202)
    for _ in range(3):
        ok(client.get(f"/v1/papers/{PAPER}"))
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found = dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
    assert found['paper_verdicts_runs{state="queued"}'] == "1.0"
    assert found['paper_verdicts_runs{state="running"}'] == "0.0"
    assert float(found['paper_verdicts_oldest_run_seconds{state="queued"}']) > 0
    assert found["paper_verdicts_database_up"] == "1.0"
    assert float(found["paper_verdicts_hot_hits_total"]) + float(found["paper_verdicts_hot_misses_total"]) == 3
    swept = 'paper_verdicts_swept_total{action="requeued"} '
    assert swept + "0.0" in answer.text
    for number in (2, 5):
        with database.unit_of_work() as session:  # a worker's sweep, in a process that nobody scrapes
            count_actions(session, {"requeued": number, "rung": 0})
    assert swept + "7.0" in client.get("/metrics").text


def test_runs_are_counted_by_state_and_workers_by_their_silence(
    client: Api, database: Database, catalogue: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    del catalogue

    def shown() -> dict[str, str]:
        lines = client.get("/metrics").text.splitlines()
        return dict(
            line.rsplit(" ", 1) for line in lines if line.startswith(("paper_verdicts_runs", "paper_verdicts_w"))
        )

    runs = [ok(client.post(f"/v1/papers/{PAPER}/reproductions", json={"force": True}), 202)["id"] for _ in range(3)]
    ok(client.post(f"/v1/reproductions/{runs[2]}/cancel"))
    take(database, 'a "worker"')
    found = shown()
    assert float(found.pop('paper_verdicts_worker_silence_seconds{worker="a \\"worker\\""}')) >= 0
    states = {"queued": 1, "running": 1, "succeeded": 0, "failed": 0, "cancelled": 1, "expired": 0}
    does = {"busy": 1, "idle": 0, "silent": 0}
    assert {state: float(found.pop(f'paper_verdicts_workers{{state="{state}"}}')) for state in does} == does
    assert found == {f'paper_verdicts_runs{{state="{state}"}}': f"{number:.1f}" for state, number in states.items()}
    ok(client.post(f"/v1/reproductions/{runs[1]}/cancel"))
    assert shown()['paper_verdicts_runs{state="cancelled"}'] == "1.0"  # of this minute
    monkeypatch.setattr("app.reproductions.metrics._COUNTED_S", -1.0)
    assert shown()['paper_verdicts_runs{state="cancelled"}'] == "2.0"


def test_no_layer_wraps_requests_in_tasks_and_streams_of_its_own(client: Api) -> None:
    """Ruff bans the name; `app.middleware("http")` and the packages in use would bring it in all the same."""
    client.get("/healthz")
    assert not [one for one in gc.get_objects() if issubclass(type(one), BaseHTTPMiddleware)]


def test_pages_of_other_origins_may_read_and_send_no_key(client: Api) -> None:
    origin = {"Origin": "https://example.org"}
    for path in ("/v1/papers", f"/v1/claims/{NOBODY}", "/v1/verdicts?limit=0", "/v1/nothing", "/openapi.json"):
        for method in ("GET", "HEAD", "DELETE"):
            headers = client.request(method, path, headers=origin).headers
            assert headers.get_list("access-control-allow-origin") == ["*"]
            (exposed,) = headers.get_list("access-control-expose-headers")
            assert {"X-Request-Id", "Retry-After"} <= set(exposed.split(", "))
    read = client.post("/v1/papers:batchGet", json={"ids": [PAPER]}, headers=origin).headers
    assert read.get_list("access-control-allow-origin") == ["*"]
    assert "X-Request-Id" in read["access-control-expose-headers"]
    with_key = client.get("/v1/audit", headers=origin)
    assert with_key.status_code == 200
    assert "access-control-allow-origin" not in with_key.headers

    def preflight(method: str, headers: str) -> int:
        asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
        return client.options("/v1/papers", headers=origin | asked).status_code

    assert preflight("GET", "if-none-match, prefer") == 200
    assert preflight("POST", "content-type") == 200
    assert preflight("GET", "authorization") == 400
    assert preflight("DELETE", "content-type") == 400
    assert preflight("POST", "idempotency-key") == 400


@pytest.mark.usefixtures("catalogue")
def test_the_id_travels_with_the_run_to_its_worker(client: Api, database: Database) -> None:
    path, headers = f"/v1/papers/{PAPER}/reproductions", {"X-Request-Id": "theirs"}
    run_id = ok(client.post(path, json={"driver": DRIVER}, headers=headers), 202)["id"]
    with database.unit_of_work() as session:
        lease = take_run(session, "worker", QueueSettings())
    assert lease is not None
    assert (str(lease.reproduction_id), lease.request_id) == (run_id, "theirs")
