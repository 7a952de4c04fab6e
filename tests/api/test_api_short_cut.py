"""A plain GET goes past FastAPI's layers; what comes of it is what FastAPI answers: bytes, headers and errors."""

from typing import Any

import pytest
from httpx2 import Response

from app.core.logging import bound_request_id
from app.core.plan import Plans
from tests.api.helpers import DRIVER, NOBODY, PAPER, Api, ok, predictions_body, refused

USUAL_WAY = {"Content-Length": "0"}
"""Whoever sends a body, even none, is FastAPI's business."""
CODINGS = ("identity", "gzip", "br", "zstd", "gzip;q=0, *")


@pytest.fixture
def addresses(client: Api, catalogue: object) -> list[str]:  # noqa: ARG001  # the drivers have to be there
    paper = f"/v1/papers/{PAPER}"
    for n in range(4):
        client.post_claim(row=f"Model {n}")
    body = predictions_body([("neutral", "neutral")] * 5)
    verdict = ok(client.post(f"{paper}/verdicts", json=body), 201)
    other = ok(client.post(f"{paper}/verdicts", json=body), 201)["id"]
    run = ok(client.post(f"{paper}/reproductions", json={}), 202)["id"]
    one, claim = f"/v1/verdicts/{verdict['id']}", verdict["claim_id"]
    below = ["?x=y", "v1?x=y", "/badge.json?x=y", "/badge.svg?x=y", "/verdicts?limit=1", "/verdicts?kind=PRE"]
    below += ["/claims", "/claims?limit=2", "/versions", "/versions/1"]
    found = [*(paper + path for path in below), "/v1/papers", "/v1/papers?q=deberta&sort=arxiv_id", "/v1/verdicts"]
    found += ["/v1/verdicts?limit=1", one, f"{one}/evidence", f"{one}/predictions", f"{one}/compare/{other}"]
    found += ["/v1/reproductions", f"/v1/reproductions/{run}?x=y", f"/v1/reproductions/{run}/course"]
    found += [f"/v1/claims/{claim}", "/v1/drivers"]
    found += [f"/v1/drivers/{DRIVER}", "/v1/exports/verdicts.jsonl", "/v1/exports/verdicts.parquet", "/healthz"]
    return [*found, "/readyz", "/openapi.json", "/.well-known/paper-verdicts-signing-key.pem"]


ERRORS = (
    f"/v1/papers/{PAPER}v9?x=y",
    "/v1/papers/2101.00001/claims",
    "/v1/papers/nonsense/claims",
    f"/v1/papers/{PAPER}v1/versions",
    f"/v1/papers/{PAPER}/versions/0",
    f"/v1/papers/{PAPER}/versions/one",
    f"/v1/papers/{PAPER}/nothing",
    f"/v1/claims/{NOBODY}",
    "/v1/claims/17",
    "/v1/claims/",
    "/v1/drivers/none",
    "/v1/papers?limit=0",
    "/v1/papers?limit=0&status=odd&cursor=%00",
    "/v1/papers?cursor=AAAA",
    "/v1/verdicts?is_current=perhaps",
    "/v1/nothing",
    "/nothing",
)


def facts(response: Response) -> Any:  # noqa: ANN401  # for comparison
    return response.status_code, response.content, sorted(response.headers.raw)


def both(client: Api, path: str, method: str = "GET", **headers: str) -> Response:
    """The answer, the same on both ways."""
    short = client.request(method, path, headers=headers)
    assert facts(short) == facts(client.request(method, path, headers=headers | USUAL_WAY)), (path, method, headers)
    return short


def test_the_same_in_every_coding_and_held(client: Api, addresses: list[str]) -> None:
    for path in addresses:
        for coding in CODINGS:
            answer = both(client, path, **{"Accept-Encoding": coding})
        assert answer.status_code in {200, 404}, path
        if "etag" in answer.headers:
            held = {"If-None-Match": answer.headers["etag"], "Accept-Encoding": "gzip"}
            assert both(client, path, **held).status_code == 304
        both(client, path, "HEAD")
        both(client, path, Origin="https://example.org")


def test_the_same_errors(client: Api, addresses: list[str]) -> None:
    del addresses
    for path in ERRORS:
        assert both(client, path).status_code >= 400
        both(client, path, "HEAD")


def test_every_plan_is_among_them(client: Api, addresses: list[str]) -> None:
    plans = Plans(client.app.router.routes)  # type: ignore[attr-defined]
    found = [plans.find(path.partition("?")[0]) for path in addresses]
    assert None not in found
    missing = {plan.route.path for plan in plans} - {one[0].route.path for one in found if one is not None}
    assert missing == {"/metrics"}  # it differs each time


def test_what_an_endpoint_logs_has_the_requests_id(
    client: Api, catalogue: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    del catalogue
    seen: list[str | None] = []

    def read(*_: object) -> None:
        seen.append(bound_request_id())
        raise RuntimeError

    monkeypatch.setattr("app.drivers.endpoints.read_driver", read)
    refused(client.get(f"/v1/drivers/{DRIVER}", headers={"X-Request-Id": "mine"}), 500, "internal_error")
    assert seen == ["mine"]  # and it was asked once
