"""How many statements a request costs: the same for a page of one item and for a page of many."""

import pytest

from app.core.db import Database
from tests.api.helpers import DRIVER, PAPER, Api, counted, ok, predictions_body

pytestmark = pytest.mark.usefixtures("catalogue")


def cost(client: Api, database: Database, path: str) -> int:
    with counted(database) as statements:
        assert client.get(path).status_code == 200
    return len(statements)


def test_the_document_is_one_statement(client: Api, database: Database) -> None:
    client.post_verdict()
    client.post_verdict(kind="PRE")
    assert cost(client, database, f"/v1/papers/{PAPER}") == 0  # the hot path has its own way to the row
    assert cost(client, database, f"/v1/papers/{PAPER}v1") == 3
    assert cost(client, database, f"/v1/papers/{PAPER}v1") == 0


def test_single_resources(client: Api, database: Database) -> None:
    body = predictions_body([("neutral", "neutral")] * 5)
    verdict = ok(client.post(f"/v1/papers/{PAPER}/verdicts", json=body), 201)
    run = ok(client.post(f"/v1/papers/{PAPER}/reproductions", json={}), 202)
    for path, statements in {
        f"/v1/verdicts/{verdict['id']}": 1,
        f"/v1/claims/{verdict['claim_id']}": 1,
        f"/v1/drivers/{DRIVER}": 1,
        f"/v1/reproductions/{run['id']}": 2,
        f"/v1/papers/{PAPER}/versions/1": 2,
        f"/v1/verdicts/{verdict['id']}/evidence": 3,
        f"/v1/verdicts/{verdict['id']}/predictions": 4,
    }.items():
        assert cost(client, database, path) <= statements, path


def test_lists_cost_the_same_however_long_they_are(client: Api, database: Database) -> None:
    lists = {
        "/v1/papers": 1,
        "/v1/papers?sort=arxiv_id&q=title": 2,  # the first has the words read
        "/v1/verdicts": 1,
        "/v1/reproductions": 1,
        "/v1/drivers": 1,
        f"/v1/reproductions?paper={PAPER}": 2,
        f"/v1/papers/{PAPER}/verdicts?limit=50": 2,
        f"/v1/papers/{PAPER}/versions": 2,
        f"/v1/papers/{PAPER}/claims": 2,
        f"/v1/papers/{PAPER}v1/claims": 3,
        f"/v1/papers/{PAPER}v1/verdicts?limit=50": 3,
    }
    lengths = []
    for i in range(2):
        lengths.append({path: len(ok(client.get(path))["items"]) for path in lists})
        assert {path: cost(client, database, path) for path in lists} == lists
        for n in range(6):
            client.put_paper(f"2101.{10_000 + 10 * i + n}", title="A title")
            client.post_claim(row=f"Model {i} {n}")
            client.post_verdict()
            ok(client.post(f"/v1/papers/{PAPER}/reproductions", json={"force": True, "driver": DRIVER}), 202)
            ok(client.post(f"/v1/papers/{PAPER}/versions", json={}), 201)
            client.post_verdict(f"{PAPER}v1")
            client.post_claim(f"{PAPER}v1", row=f"Old model {i} {n}")
    grew = {path for path in lists if lengths[1][path] > lengths[0][path]}
    assert grew == set(lists) - {"/v1/drivers"}
