import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.catalogue.import_document import import_document, parse_document
from app.core.db import Database
from tests.api.helpers import GOLDEN, PAPER, Api, compact, counted, ok, refused

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=60).map(str.strip)
PRINTED_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def bring(database: Database, text: str) -> None:
    with database.unit_of_work() as session:
        import_document(session, parse_document(text))


def test_the_golden_document_is_served_byte_for_byte(client: Api, database: Database) -> None:
    golden = GOLDEN.read_text(encoding="utf-8")
    bring(database, golden)
    # From the row without SQLAlchemy; by the usual way through FastAPI; from memory.
    by_fastapi = {"If-None-Match": '"another"'}
    for query, headers, expected in (("", {}, 0), ("?not=hot", by_fastapi, 1), ("", {}, 0)):
        with counted(database) as statements:
            response = client.get(f"/v1/papers/{PAPER}{query}", headers=headers)
        assert response.content == compact(json.loads(golden))
        assert response.headers["content-type"] == "application/json"
        assert len(statements) == expected
    assert client.get(f"/v1/papers/{PAPER}v1").content == response.content


def keys_of(value: Any) -> Any:  # noqa: ANN401  # any JSON
    if isinstance(value, dict):
        return [(key, keys_of(inner)) for key, inner in value.items()]
    return None


def test_a_document_made_over_http_has_the_golden_ones_keys_in_its_order(api: Api) -> None:
    api.post_verdict()
    api.post_verdict(kind="PRE")
    document = ok(api.get(f"/v1/papers/{PAPER}"))
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    golden["verdicts"]["pre"] = golden["verdicts"]["post"]
    assert keys_of(document) == keys_of(golden)
    assert PRINTED_MOMENT.fullmatch(document["verdict"]["computed_at"])


def test_what_is_not_known_is_null(client: Api) -> None:
    document = client.put_paper(PAPER)
    version = document["latest_version"]
    assert document == {
        "paper": {
            "arxiv_id": PAPER,
            "title": "A title",
            "abstract": "An abstract.",
            "primary_category": None,
            "venue": None,
            "published_at": None,
            "latest_version": 1,
            "withdrawn": False,
        },
        "latest_version": {
            "id": version["id"],
            "version": 1,
            "source_url": f"https://arxiv.org/abs/{PAPER}",
            "rendered_html_url": None,
            "rendering_engine": None,
        },
        "verdict": None,
        "verdicts": {"post": None, "pre": None},
    }


def test_the_verdict_is_the_posts_else_the_pres(api: Api) -> None:
    pre = api.post_verdict(kind="PRE")
    document = ok(api.get(f"/v1/papers/{PAPER}"))
    assert document["verdict"] == document["verdicts"]["pre"]
    assert document["verdict"]["id"] == pre["id"]
    assert document["verdicts"]["post"] is None
    post = api.post_verdict()
    document = ok(api.get(f"/v1/papers/{PAPER}"))
    assert document["verdict"] == document["verdicts"]["post"]
    assert [document["verdicts"][kind]["id"] for kind in ("post", "pre")] == [post["id"], pre["id"]]


@given(title=TEXT.filter(bool), abstract=TEXT.filter(bool), venue=st.none() | TEXT.filter(bool))
@settings(max_examples=60)
def test_any_text_is_served_as_it_was_sent_and_not_escaped(
    client: Api, title: str, abstract: str, venue: str | None
) -> None:
    sent = {"title": title, "abstract": abstract, "venue": venue}
    put = client.put(f"/v1/papers/{PAPER}", json=sent)
    assert put.status_code in {200, 201}
    got = client.get(f"/v1/papers/{PAPER}")
    assert got.content == put.content == compact(got.json())
    assert got.headers["etag"] == put.headers["etag"]
    paper = got.json()["paper"]
    assert {name: paper[name] for name in sent} == sent


@pytest.mark.parametrize(
    "title", ["Größe über alles", "🧪 “quotes” 'and' \"more\" \\ / </script>", "数学", "a\tb\u2028c\x7f"]
)
def test_text_stands_in_the_body_as_utf8(client: Api, title: str) -> None:
    client.put_paper(title=title)
    assert json.dumps(title, ensure_ascii=False).encode() in client.get(f"/v1/papers/{PAPER}").content


@pytest.mark.parametrize(
    ("sent", "served"),
    [
        ("2023-05-01T12:00:00Z", "2023-05-01T12:00:00.000Z"),
        ("2023-05-01T12:00:00.123999+02:00", "2023-05-01T10:00:00.123Z"),
        ("0987-01-01T00:00:00Z", "0987-01-01T00:00:00.000Z"),
    ],
)
def test_times_are_utc_with_milliseconds_and_z(client: Api, sent: str, served: str) -> None:
    client.put_paper(published_at=sent)
    assert ok(client.get(f"/v1/papers/{PAPER}"))["paper"]["published_at"] == served
    assert ok(client.get("/v1/papers"))["items"][0]["published_at"] == served


def test_as_of_a_version_later_checks_do_not_show(api: Api) -> None:
    first = api.post_verdict(f"{PAPER}v1")
    ok(api.post(f"/v1/papers/{PAPER}/versions", json={"source_url": "https://arxiv.org/abs/2111.09543v2"}), 201)
    second = api.post_verdict(f"{PAPER}v2")
    assert second["supersedes"] == first["id"]
    now = ok(api.get(f"/v1/papers/{PAPER}"))
    before = ok(api.get(f"/v1/papers/{PAPER}v1"))
    assert (now["paper"]["latest_version"], now["latest_version"]["version"]) == (2, 2)
    assert (before["paper"]["latest_version"], before["latest_version"]["version"]) == (1, 1)
    assert (now["verdict"]["id"], now["verdict"]["is_current"]) == (second["id"], True)
    assert (before["verdict"]["id"], before["verdict"]["is_current"]) == (first["id"], False)
    assert ok(api.get(f"/v1/papers/{PAPER}v2")) == now
    refused(api.get(f"/v1/papers/{PAPER}v3"), 404, "version_not_found")


def test_as_of_a_version_a_check_of_an_earlier_one_still_shows(api: Api) -> None:
    first = api.post_verdict()
    ok(api.post(f"/v1/papers/{PAPER}/versions", json={}), 201)
    assert ok(api.get(f"/v1/papers/{PAPER}v2"))["verdict"]["id"] == first["id"]


def test_as_of_a_version_the_newest_check_of_it_shows_even_where_an_older_version_was_checked_later(api: Api) -> None:
    ok(api.post(f"/v1/papers/{PAPER}/versions", json={}), 201)
    of_second = api.post_verdict(f"{PAPER}v2")
    of_first = api.post_verdict(f"{PAPER}v1")
    assert ok(api.get(f"/v1/papers/{PAPER}v1"))["verdict"]["id"] == of_first["id"]
    assert ok(api.get(f"/v1/papers/{PAPER}v2"))["verdict"]["id"] == of_first["id"]
    history = ok(api.get(f"/v1/papers/{PAPER}v2/verdicts"))["items"]
    assert [verdict["id"] for verdict in history] == [of_second["id"]]


def test_with_a_version_lists_hold_what_is_of_that_version(api: Api) -> None:
    ok(api.post(f"/v1/papers/{PAPER}/versions", json={}), 201)
    late = api.post_claim(f"{PAPER}v2", row="Another model")
    api.post_verdict(f"{PAPER}v1")
    newer = api.post_verdict(f"{PAPER}v2", claim=late["id"])
    for below, key in (("claims", late["id"]), ("verdicts", newer["id"])):
        assert [item["id"] for item in ok(api.get(f"/v1/papers/{PAPER}v2/{below}"))["items"]] == [key]
        assert len(ok(api.get(f"/v1/papers/{PAPER}/{below}"))["items"]) == 2
        refused(api.get(f"/v1/papers/{PAPER}v3/{below}"), 404, "version_not_found")
