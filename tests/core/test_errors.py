import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Annotated

import pytest
from fastapi import FastAPI, Query
from pydantic import BaseModel, ConfigDict
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.testclient import TestClient

from app.core.errors import MOST_FIELDS, AppError, FieldError, ProblemResponse, install_error_handlers, problem
from tests.api.helpers import Log

SECRET = "password=hunter2"  # noqa: S105  # the point is that nobody sees it


class TeapotError(AppError):
    """An error of a feature."""

    status = HTTPStatus.IM_A_TEAPOT
    code = "teapot"
    title = "No coffee here"


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")

    cups: int


def app() -> FastAPI:
    service = FastAPI()
    install_error_handlers(service)

    @service.get("/teapot")
    def teapot() -> None:
        raise TeapotError(
            "Ask for tea.",
            headers={"Retry-After": "5"},
            errors=[FieldError(field="body.drink", detail="It is coffee.", code="coffee")],
        )

    @service.get("/broken")
    def broken() -> None:
        raise RuntimeError(SECRET)

    @service.get("/database")
    def database() -> None:
        raise OperationalError("SELECT 1", {}, RuntimeError(SECRET))

    @service.get("/pool")
    def pool() -> None:
        raise PoolTimeoutError(SECRET)

    @service.post("/orders")
    def order(order: Order, table: Annotated[int, Query(ge=1)]) -> None:
        """Take an order."""

    @service.put("/orders")
    def change(order: Order) -> None:
        """Change an order."""

    return service


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(app(), raise_server_exceptions=False) as client:
        yield client


def test_an_error_of_a_feature_is_its_problem_document(client: TestClient) -> None:
    response = client.get("/teapot")
    assert response.status_code == 418
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["retry-after"] == "5"
    assert response.json() == {
        "type": "urn:paper-verdicts:problem:teapot",
        "title": "No coffee here",
        "status": 418,
        "detail": "Ask for tea.",
        "code": "teapot",
        "errors": [{"field": "body.drink", "detail": "It is coffee.", "code": "coffee"}],
    }


def test_a_problem_without_bad_fields_has_no_list_of_them() -> None:
    assert "errors" not in problem(HTTPStatus.NOT_FOUND, "a", "b", "c")


def test_an_unexpected_exception_shows_an_id_that_the_log_has_too_and_nothing_else(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log()
    monkeypatch.setattr("app.core.errors._log", log)
    response = client.get("/broken")
    document = response.json()
    assert (response.status_code, document["code"]) == (500, "internal_error")
    assert SECRET not in response.text
    assert "RuntimeError" not in response.text
    incident = re.search(r"[0-9a-f-]{36}", document["detail"])
    assert incident
    assert [entry["incident"] for entry in log.entries] == [incident[0]]
    assert incident[0] not in client.get("/broken").text


@pytest.mark.parametrize("path", ["/database", "/pool"])
def test_a_database_that_is_gone_is_said_to_come_back(client: TestClient, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.json()["code"]) == (503, "database_unavailable")
    assert int(response.headers["retry-after"]) > 0
    assert SECRET not in response.text
    assert "SELECT" not in response.text


def test_each_bad_field_has_an_entry(client: TestClient) -> None:
    document = client.post("/orders?table=0", json={"cups": "many", "sugar": 1}).json()
    assert document["code"] == "validation_failed"
    assert {error["field"] for error in document["errors"]} == {"query.table", "body.cups", "body.sugar"}
    assert document["detail"].endswith("(and 2 more)")


@pytest.mark.parametrize("body", [b'{"cups": 1, "\\ud800": 2}', b'{"cups": "\\udfff"}'])
def test_text_that_is_no_unicode_is_a_bad_field(client: TestClient, body: bytes) -> None:
    response = client.post("/orders?table=1", content=body, headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["code"]) == (422, "validation_failed")


def test_a_hundred_thousand_bad_fields_do_not_make_a_large_answer(client: TestClient) -> None:
    response = client.post("/orders?table=1", json={"cups": 1} | {f"unknown-{i}" * 20: i for i in range(5000)})
    document = response.json()
    assert len(document["errors"]) == MOST_FIELDS
    assert document["detail"].endswith("(and 4999 more)")
    assert len(response.content) < 50_000


def test_a_method_that_is_not_there_names_those_of_every_route_of_the_address(client: TestClient) -> None:
    response = client.delete("/orders")
    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
    assert response.headers["allow"] == "PUT, POST"
    assert client.post("/teapot").headers["allow"] == "GET, HEAD"


def test_an_address_that_is_not_there(client: TestClient) -> None:
    response = client.get("/nowhere")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("body", [b"[" * 100_000, b"\xff\xfe\xfd", b'{"cups": ' + b"9" * 5000 + b"}"])
def test_a_body_that_cannot_be_read_is_a_problem_document(client: TestClient, body: bytes) -> None:
    response = client.post("/orders?table=1", content=body, headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["code"]) == (400, "body_unreadable")
    assert response.headers["content-type"] == "application/problem+json"


def test_problems_are_compact_and_not_escaped() -> None:
    assert ProblemResponse({"title": "Größe 🧪"}).body == '{"title":"Größe 🧪"}'.encode()
