"""The form that asks for a run, as a browser without JavaScript sends it."""

import pytest
from httpx2 import Response

from app.access.scopes import Scope
from app.core.db import Database
from app.core.settings import Settings
from tests.access.helpers import service
from tests.api.helpers import DRAFT, DRAFT_DRIVER, DRIVER, PAPER, Api, ok, unchanged
from tests.dashboard.reading import checked, text_of
from tests.factories.keys import make_key

pytestmark = pytest.mark.usefixtures("catalogue")
FORM = "application/x-www-form-urlencoded"


def sent(client: Api, paper: str = PAPER, **fields: str) -> Response:
    return client.post(f"/papers/{paper}/reproduce", data={"driver": DRIVER, "kind": "POST", **fields})


def test_a_form_with_a_key_asks_for_a_run(client: Api, database: Database) -> None:
    key = make_key(database, Scope.reproduce)
    answer = sent(client, key=f" {key.key} ", slice_size="30", priority="2")
    assert answer.status_code == 303
    run = ok(client.get(f"/v1{answer.headers['location']}"))
    assert (run["driver"], run["kind"], run["slice"]["size"], run["priority"]) == (DRIVER, "POST", 30, 2)
    assert "set-cookie" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"
    again = sent(client, key=key.key, slice_size="30", priority="2")
    assert again.headers["location"] == answer.headers["location"]
    audit = ok(client.get("/v1/audit", headers={"Authorization": f"Bearer {client.key}"}))["items"]
    assert [(one["actor"], one["action"]) for one in audit][:1] == [(f"key:{key.prefix}", "reproduction.requested")]


def test_a_draft_is_asked_about_as_before_its_publication(client: Api, database: Database) -> None:
    key = make_key(database, Scope.reproduce).key
    answer = sent(client, DRAFT, key=key, driver=DRAFT_DRIVER, kind="PRE")
    assert ok(client.get(f"/v1{answer.headers['location']}"))["kind"] == "PRE"


def test_a_refusal_shows_the_form_again_without_the_key(client: Api, database: Database) -> None:
    reader, key = make_key(database, Scope.read), make_key(database, Scope.reproduce)
    for given, status, words in (
        ({}, 401, "An API key is needed"),
        ({"key": "pv_000000000000.nobodys"}, 401, "It is mistyped"),
        ({"key": "a key with blanks"}, 401, "It is mistyped"),
        ({"key": "schlüssel"}, 401, "It is mistyped"),
        ({"key": reader.key}, 403, "scope `reproduce`"),
        ({"key": key.key, "slice_size": "many"}, 422, "This has to be a whole number."),
        ({"key": key.key, "slice_size": "0"}, 422, "This has to be at least 1."),
        ({"key": key.key, "priority": "12"}, 422, "This has to be at most 9."),
        ({"key": key.key, "kind": "NEITHER"}, 422, "This has to be 'PRE' or 'POST'."),
        ({"key": key.key, "driver": "nobodys"}, 404, "There is no driver"),
        ({"key": key.key, "driver": DRAFT_DRIVER}, 422, "another paper"),
        ({"key": key.key, "slice_size": "99999"}, 422, "The split has 9815 examples"),
    ):
        with unchanged(database):
            answer = sent(client, **given)
        checked(answer, status)
        assert words in text_of(answer.content), given
        secret = given.get("key", "x").partition(".")[2]
        assert not secret or secret not in answer.text
        assert f'value="{given["slice_size"]}"' in answer.text if "slice_size" in given else True
        assert "pattern" in answer.text


def test_only_a_form_is_read_and_only_so_much(client: Api, database: Database) -> None:
    key = make_key(database, Scope.reproduce).key
    path = f"/papers/{PAPER}/reproduce"
    with unchanged(database):
        for content, media in (
            (b'{"key": "x"}', "application/json"),
            (b"key=" + b"x" * 9000, FORM),
            (b"key=\xff", FORM),
            ("&".join(f"a{i}=1" for i in range(50)).encode(), FORM),
            (b"", "text/plain"),
        ):
            answer = client.post(path, content=content, headers={"Content-Type": media})
            checked(answer, 415)
        # A key in the header is none that the form sent: another site's page could not have typed it.
        answer = client.post(
            path, content=b"driver=x", headers={"Content-Type": FORM, "Authorization": f"Bearer {key}"}
        )
        checked(answer, 401)
    checked(client.post("/papers/2101.99999/reproduce", data={"key": key}), 404)
    checked(client.post("/papers/nonsense/reproduce", data={"key": key}), 422)


def test_where_reading_takes_a_key_there_are_no_pages(settings: Settings, client: Api, database: Database) -> None:
    client.put_paper("2104.00001")
    key = make_key(database, Scope.read)
    with service(settings, reads="keys") as closed:
        for path in ("/", "/papers/2104.00001", "/queue", "/compare/x/y"):
            answer = closed.get(path)
            checked(answer, 401)
            assert "its pages are off" in text_of(answer.content)
            assert "2104.00001" not in answer.text
            assert answer.headers["www-authenticate"].startswith("Bearer")
        checked(closed.get("/", headers={"Authorization": "Bearer nothing.valid"}), 401)
        opened = closed.get("/papers/2104.00001", headers={"Authorization": f"Bearer {key.key}"})
        checked(opened)
        assert opened.headers["cache-control"] == "private, no-cache"
        style = next(part for part in answer.text.split('"') if part.endswith(".css"))
        assert closed.get(style).status_code == 200
