"""The OpenAPI document: complete, and without dangling references."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI

from app.core.settings import Settings
from app.main import create_app
from tests.api.helpers import Api, Json

METHODS = {"get", "put", "post", "patch", "delete"}


@pytest.fixture(scope="module")
def document() -> Json:
    settings = Settings(database_url="postgresql+psycopg://x/y", redis_url="redis://x/0", log_level="ERROR")
    return create_app(settings).openapi()


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert method in METHODS
            yield method, path, operation


def inside(node: Any) -> Iterator[Json]:  # noqa: ANN401  # any JSON
    if isinstance(node, dict):
        yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from inside(inner)


def test_every_resource_of_the_contract_is_there(document: Json) -> None:
    found = {(method.upper(), path) for method, path, _ in operations(document)}
    expected = """
        GET /v1/papers
        PUT /v1/papers/{paper_id}
        PATCH /v1/papers/{paper_id}
        GET /v1/papers/{paper_id}
        POST /v1/papers/{paper_id}/import
        GET /v1/papers/{paper_id}/versions
        POST /v1/papers/{paper_id}/versions
        GET /v1/papers/{paper_id}/versions/{version}
        GET /v1/papers/{paper_id}/claims
        POST /v1/papers/{paper_id}/claims
        GET /v1/claims/{claim_id}
        GET /v1/papers/{paper_id}/verdicts
        POST /v1/papers/{paper_id}/verdicts
        GET /v1/verdicts
        GET /v1/verdicts/{verdict_id}
        GET /v1/verdicts/{verdict_id}/evidence
        GET /v1/verdicts/{verdict_id}/predictions
        POST /v1/papers/{paper_id}/reproductions
        GET /v1/reproductions
        GET /v1/reproductions/{reproduction_id}
        POST /v1/reproductions/{reproduction_id}/cancel
        GET /v1/drivers
        GET /v1/drivers/{slug}
        POST /v1/designs
        GET /healthz
        GET /readyz
    """
    assert {tuple(line.split()) for line in expected.strip().splitlines()} <= found


def test_every_operation_has_a_name_of_its_own_and_says_what_it_does(document: Json) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    for _, path, operation in operations(document):
        assert re.fullmatch(r"[a-z]+[A-Z][A-Za-z]+", operation["operationId"]), path
        assert operation["description"], path
        assert operation["tags"], path


def test_every_reference_resolves_and_every_schema_is_referred_to(document: Json) -> None:
    references = {node["$ref"] for node in inside(document) if "$ref" in node}
    assert len(references) > 20
    for reference in references:
        node: Any = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
        assert isinstance(node, dict)
    assert {f"#/components/schemas/{name}" for name in document["components"]["schemas"]} <= references


def test_problems_are_declared_as_problems(document: Json) -> None:
    assert "HTTPValidationError" not in document["components"]["schemas"]
    for method, path, operation in operations(document):
        if not path.startswith("/v1"):
            continue
        refusals = {status: answer for status, answer in operation["responses"].items() if status[0] in "345"}
        for status, answer in refusals.items():
            schema = answer["content"]["application/problem+json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/Problem"}, (method, path, status)
            assert list(answer["content"]) == ["application/problem+json"], (method, path, status)
        assert "422" in refusals, (method, path)
        if method != "get":
            assert {"400", "413", "415"} <= set(refusals), (method, path)
        if "{" in path:
            # A paper that is not there yet can be put; its badge says that there is no verdict.
            without = {"putPaper", "getBadge", "getBadgeImage"}
            assert "404" in refusals or operation["operationId"] in without, (method, path)
        assert {"200", "201", "202"} & set(operation["responses"]), (method, path)


def test_parameters_of_lists_are_bounded(document: Json) -> None:
    for _, path, operation in operations(document):
        names = {parameter["name"]: parameter["schema"] for parameter in operation.get("parameters", [])}
        if "cursor" in names:
            assert (names["limit"]["minimum"], names["limit"]["maximum"]) == (1, 200), path
            assert "400" in operation["responses"], path


def test_the_document_is_served_and_shown(client: Api, app: FastAPI) -> None:
    served = client.get("/openapi.json")
    assert served.json() == app.openapi()
    shown = client.get("/docs")
    assert shown.headers["content-type"].startswith("text/html")
    fetched = re.findall(r'(?:src|<link[^>]*href)="([^"]*)"', shown.text)
    assert len(fetched) == 5
    assert "frame-ancestors 'none'" in shown.headers["content-security-policy"]
    assert shown.headers["x-content-type-options"] == "nosniff"
    for address in fetched:
        assert address.startswith("/static/")
        assert client.get(address).status_code == 200
