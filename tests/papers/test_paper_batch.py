"""Many documents in one answer."""

import json

from app.core.db import Database
from tests.api.helpers import PAPER, Api, Json, counted, ok, refused

BATCH = "/v1/papers:batchGet"


def test_the_documents_come_in_the_order_asked_for_and_byte_for_byte(client: Api) -> None:
    ids = [f"2101.{10_000 + n}" for n in range(3)]
    for arxiv_id in ids:
        client.put_paper(arxiv_id, title=f"Größe von {arxiv_id}")
    asked = [ids[2], ids[0], ids[0], ids[1]]
    answer = client.post(BATCH, json={"ids": asked})
    items = ok(answer)["items"]
    assert [item["id"] for item in items] == asked
    for item in items:
        alone = client.get(f"/v1/papers/{item['id']}", headers={"Accept-Encoding": "identity"})
        assert item["document"] == alone.json()
        assert item["etag"] == alone.headers["etag"]
        assert item["problem"] is None
        assert alone.content in answer.content


def test_what_is_not_here_says_why(client: Api) -> None:
    client.put_paper("draft:mine")
    ok(client.patch("/v1/papers/draft:mine", json={"arxiv_id": "2101.00001"}))
    asked = [PAPER, "draft:mine", "nonsense", "2101.00001v1", "2101.00001", '"\n']
    items = ok(client.post(BATCH, json={"ids": asked}))["items"]
    codes = [(item["problem"] or {}).get("code") for item in items]
    assert codes == [
        "paper_not_found",
        "paper_moved",
        "paper_id_malformed",
        "version_not_meant",
        None,
        "paper_id_malformed",
    ]
    assert [item["id"] for item in items] == asked
    assert all((item["document"] is None) == (item["problem"] is not None) for item in items)
    assert items[1]["problem"]["status"] == 308
    assert "2101.00001" in items[1]["problem"]["detail"]


def test_two_hundred_cost_as_many_statements_as_one(client: Api, database: Database) -> None:
    client.put_paper()
    for ids, most in (([PAPER], 1), ([f"2101.{n:05}" for n in range(199)] + [PAPER], 2)):
        with counted(database) as statements:
            assert len(ok(client.post(BATCH, json={"ids": ids}))["items"]) == len(ids)
        assert len(statements) == most


def test_bad_batches(client: Api) -> None:
    bodies: tuple[Json, ...] = (
        {},
        {"ids": []},
        {"ids": ["x"] * 201},
        {"ids": "x"},
        {"ids": [1]},
        {"ids": [PAPER], "more": 1},
    )
    for body in bodies:
        refused(client.post(BATCH, json=body), 422, "validation_failed")
    refused(client.post(BATCH, content=json.dumps({"ids": [PAPER]})), 415, "unsupported_media_type")
    assert client.get(BATCH).status_code in {404, 405, 422}
