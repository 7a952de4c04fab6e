from functools import partial

from app.core.db import Database
from tests.api.helpers import PAPER, Api, at_once, ok, refused, unchanged, walk

PATH = f"/v1/papers/{PAPER}/versions"


def test_a_version_gets_the_next_number(client: Api) -> None:
    first = client.put_paper()["latest_version"]
    sent = {"source_url": "https://arxiv.org/abs/2111.09543v2", "rendered_html_url": None, "rendering_engine": "ar5iv"}
    answer = client.post(PATH, json=sent)
    second = ok(answer, 201)
    assert second == {"id": second["id"], "version": 2, **sent}
    assert answer.headers["location"] == f"{PATH}/2"
    assert ok(client.get(f"{PATH}/2")) == second
    assert ok(client.get(f"{PATH}/1")) == first
    assert ok(client.get(PATH)) == {"items": [second, first], "next_cursor": None}
    assert ok(client.get(f"/v1/papers/{PAPER}"))["latest_version"] == second


def test_numbers_have_no_gaps_however_many_add_at_once(client: Api, database: Database) -> None:
    client.put_paper()
    answers = at_once(database, [partial(client.post, PATH, json={})] * 8)
    assert sorted(ok(answer, 201)["version"] for answer in answers) == list(range(2, 10))
    assert walk(client, f"{PATH}?limit=5", "version") == list(range(9, 0, -1))
    assert ok(client.get(f"/v1/papers/{PAPER}"))["paper"]["latest_version"] == 9


def test_a_version_that_is_not_there(client: Api) -> None:
    client.put_paper()
    for number in (2, 999_999):
        refused(client.get(f"{PATH}/{number}"), 404, "version_not_found")


def test_what_is_no_number_of_a_version(client: Api) -> None:
    client.put_paper()
    for number in ("0", "-1", "1000000", str(10**30), "one", "1.5", "%D9%A1", "%00", "1%00"):
        refused(client.get(f"{PATH}/{number}"), 422, "validation_failed", "path.version")


def test_a_version_has_no_versions(client: Api, database: Database) -> None:
    client.put_paper()
    with unchanged(database):
        refused(client.get(f"/v1/papers/{PAPER}v1/versions"), 422, "version_not_meant")
        refused(client.get(f"/v1/papers/{PAPER}v1/versions/1"), 422, "version_not_meant")
        refused(client.post(f"/v1/papers/{PAPER}v1/versions", json={}), 422, "version_not_meant")


def test_the_number_is_not_the_senders_to_choose(client: Api, database: Database) -> None:
    client.put_paper()
    with unchanged(database):
        refused(client.post(PATH, json={"version": 7}), 422, "validation_failed", "body.version")
        refused(client.post("/v1/papers/2111.09544/versions", json={}), 404, "paper_not_found")
