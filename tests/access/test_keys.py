"""Keys: made once, kept as hashes, asked for at every door but the public ones, and gone when revoked."""

import hmac
import re
import time
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from app.access.actor import Actor
from app.access.errors import KeyInvalidError, KeyNotFoundError
from app.access.keyring import Keyring
from app.access.keys import create_key, list_keys, revoke_key
from app.access.scopes import Scope
from app.core.db import Database
from app.core.settings import Settings
from tests.access.helpers import service, with_key
from tests.api.helpers import NOBODY, PAPER, Api, claim_body, counted, ok, paper_body, refused, unchanged
from tests.factories.keys import make_key

REALM = 'Bearer realm="paper-verdicts"'
FREE = {"/healthz", "/readyz", "/metrics"}
"""Operations that are neither public nor protected: who runs the service asks them, and they tell of nobody."""


def operations(app: FastAPI) -> Iterator[tuple[str, str, list[dict[str, list[str]]] | None]]:
    """Method, an address, and the declared security of every operation."""
    for path, item in app.openapi()["paths"].items():
        address = re.sub(r"\{paper_id\}", PAPER, path)
        address = re.sub(r"\{version\}", "1", address)
        address = re.sub(r"\{\w+\}", NOBODY, address)
        for method, operation in item.items():
            yield method.upper(), address, operation.get("security")


def test_a_key_is_256_random_bits_behind_a_name_and_only_its_hash_is_kept(database: Database) -> None:
    first, second = (make_key(database, Scope.curate, Scope.reproduce) for _ in range(2))
    assert first.key != second.key
    prefix, secret = first.key.split(".")
    assert prefix == first.prefix
    assert len(secret) == 43  # 256 bits in base64
    with database.engine.connect() as connection:
        row = connection.execute(text("SELECT * FROM api_keys WHERE prefix = :p"), {"p": prefix}).one()
        tables = connection.scalars(
            text("SELECT table_name FROM information_schema.tables WHERE table_schema='public'")
        )
        for table in tables.all():
            rows = connection.scalars(text(f"SELECT t::text FROM {table} t")).all()  # noqa: S608  # our own tables
            assert not any(secret in one for one in rows), table
    assert row.secret_hash == sha256(secret.encode()).digest()
    assert row.scopes == ["curate", "reproduce"]


def test_every_operation_says_whether_it_takes_a_key_and_keeps_to_it(client: Api, app: FastAPI) -> None:
    client.key = ""
    found: dict[str, set[str]] = {"free": set(), "public": set(), "protected": set()}
    for method, address, security in operations(app):
        answer = client.request(method, address, headers={"X-Nothing": "1"})
        if security is None:
            found["free"].add(address)
        elif {} in security:
            found["public"].add(f"{method} {address}")
            assert answer.status_code not in {401, 403}, (method, address)
        else:
            found["protected"].add(f"{method} {address}")
            refused(without_key(client, method, address), 401, "key_required")
            assert without_key(client, method, address).headers["www-authenticate"] == REALM
    assert found["free"] <= FREE
    assert len(found["public"]) > 12
    assert len(found["protected"]) >= 9


def without_key(client: Api, method: str, address: str) -> Any:  # noqa: ANN401  # a response
    request = client.build_request(method, address)
    return super(Api, client).send(request)


def test_each_protected_operation_takes_its_scope_or_admin_and_no_other(
    client: Api, app: FastAPI, database: Database
) -> None:
    keys = {scope: make_key(database, scope) for scope in Scope}
    protected = [(m, a, s) for m, a, s in operations(app) if s is not None and {} not in s]
    with unchanged(database):
        for method, address, security in protected:
            ((needed,),) = [one["apiKey"] for one in security]
            for scope, key in keys.items():
                answer = with_key(client, key, method, address)
                if needed == Scope.read or scope in {needed, Scope.admin}:  # every key may read
                    assert answer.status_code not in {401, 403}, (method, address, scope)
                else:
                    document = refused(answer, 403, "scope_missing")
                    assert f"`{needed}`" in document["detail"]
                    said = answer.headers["www-authenticate"]
                    assert said == f'{REALM}, error="insufficient_scope", scope="{needed}"'


BAD = [
    "Bearer",
    "Bearer ",
    "Bearer nonsense",
    "Bearer pv_0123456789ab",
    "Bearer pv_0123456789ab.",
    "Bearer pv_0123456789ab.x",
    "Bearer pv_0123456789ab.x y",
    "Bearer a.b.c",
    "Bearer é.é",
    "Basic dXNlcjpwYXNzd29yZA==",
    "",
    "Bearer " + "a" * 4000,
]


@pytest.mark.parametrize("header", BAD)
def test_what_is_no_key_is_refused_also_where_everybody_may_read(client: Api, header: str) -> None:
    for method, path in (("GET", "/v1/papers"), ("GET", f"/v1/papers/{PAPER}"), ("PUT", f"/v1/papers/{PAPER}")):
        answer = client.request(method, path, headers={b"Authorization": header.encode("latin-1")})
        refused(answer, 401, "key_invalid")
        assert answer.headers["www-authenticate"] == f'{REALM}, error="invalid_token"'


def test_a_key_has_to_be_whole_and_the_only_one(client: Api, database: Database) -> None:
    key, other = make_key(database), make_key(database)
    ok(with_key(client, key, "GET", "/v1/audit"))
    for wrong in (f"{key.prefix}.{other.key.split('.')[1]}", key.key[:-1], key.key + "A", key.key.upper(), key.prefix):
        refused(with_key(client, wrong, "GET", "/v1/audit"), 401, "key_invalid")
    lines = [("Authorization", f"Bearer {key.key}"), ("Authorization", f"Bearer {key.key}")]
    refused(client.get("/v1/audit", headers=lines), 401, "key_invalid")
    ok(client.get("/v1/audit", headers={"Authorization": f"bearer  {key.key} "}))


def test_a_revoked_key_is_refused_within_moments(api: Api, database: Database) -> None:
    key = make_key(database, Scope.curate)
    assert with_key(api, key, "PATCH", f"/v1/papers/{PAPER}", json={"venue": "ACL"}).status_code == 200
    with database.unit_of_work() as session:
        assert revoke_key(session, key.prefix).revoked_at is not None
    deadline = time.monotonic() + 60
    while with_key(api, key, "GET", "/v1/papers").status_code == 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    refused(with_key(api, key, "PATCH", f"/v1/papers/{PAPER}", json={"venue": "EMNLP"}), 401, "key_invalid")
    assert ok(api.get(f"/v1/papers/{PAPER}"))["paper"]["venue"] == "ACL"


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_key_is_remembered_for_exactly_so_long(database: Database) -> None:
    key, clock = make_key(database), Clock()
    keyring = Keyring(database, 1.0, clock)
    assert keyring.find(key.key).id == key.id
    with database.unit_of_work() as session:
        revoke_key(session, key.key)  # by the whole of it, as one finds it in a log
    clock.now += 0.99
    with counted(database) as statements:
        assert keyring.find(key.key).id == key.id
    assert statements == []
    clock.now += 0.01
    for _ in range(2):
        with pytest.raises(KeyInvalidError):
            keyring.find(key.key)


def test_a_wrong_secret_is_wrong_for_a_key_that_is_remembered_too(database: Database) -> None:
    key, other = make_key(database), make_key(database)
    keyring = Keyring(database, 1.0, Clock())
    keyring.find(key.key)
    asked = []
    # Whether a name is a key's is not to be told from how long the refusal takes.
    for wrong in (f"{key.prefix}.{other.key.split('.')[1]}", f"{other.prefix}x.{key.key.split('.')[1]}"):
        with counted(database) as statements, pytest.raises(KeyInvalidError):
            keyring.find(wrong)
        asked.append(statements)
    assert asked[0] == asked[1] != []


def test_each_key_that_is_none_costs_one_comparison_of_digests_in_constant_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, revoked = make_key(database), make_key(database)
    with database.unit_of_work() as session:
        revoke_key(session, revoked.prefix)
    secret = key.key.split(".")[1]
    compared: list[tuple[int, int]] = []
    compare = hmac.compare_digest

    def watched(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return compare(one, other)

    monkeypatch.setattr("app.access.keyring.hmac.compare_digest", watched)
    keyring = Keyring(database, 1.0, Clock())
    for token in (f"{key.prefix}.{secret[::-1]}", f"pv_000000000000.{secret}", revoked.key):
        with pytest.raises(KeyInvalidError):
            keyring.find(token)
    assert keyring.find(key.key).id
    assert compared == [(32, 32)] * 4


def last_used(database: Database, prefix: str) -> Any:  # noqa: ANN401  # a moment or None
    with database.unit_of_work() as session:
        return next(key.last_used_at for key in list_keys(session) if key.prefix == prefix)


def test_the_last_use_is_noted_at_most_once_a_minute(database: Database) -> None:
    key = make_key(database, note_use=True)
    assert last_used(database, key.prefix) is None
    keyring = Keyring(database, 0, Clock())
    keyring.find(key.key)
    first = last_used(database, key.prefix)
    assert first is not None
    keyring.find(key.key)
    assert last_used(database, key.prefix) == first
    with database.unit_of_work() as session:
        session.execute(text("UPDATE api_keys SET last_used_at = last_used_at - interval '61 seconds'"))
    keyring.find(key.key)
    assert last_used(database, key.prefix) >= first
    with pytest.raises(KeyInvalidError):
        keyring.find(key.prefix + ".wrong")


def test_noting_the_last_use_waits_for_nobody(database: Database) -> None:
    key = make_key(database, note_use=True)
    with database.unit_of_work() as holder:
        holder.execute(text("SELECT FROM api_keys FOR UPDATE"))
        assert Keyring(database, 0, Clock()).find(key.key).id == key.id
    assert last_used(database, key.prefix) is None


def test_keys_are_listed_without_their_secrets_and_stay_when_revoked(database: Database) -> None:
    keys = [make_key(database, Scope.read, name=f"key {i}") for i in range(3)]
    with database.unit_of_work() as session:
        for _ in range(2):
            revoke_key(session, keys[1].prefix)
        with pytest.raises(KeyNotFoundError):
            revoke_key(session, "pv_000000000000")
        found = {key.name: key for key in list_keys(session)}
    assert [found[f"key {i}"].revoked_at is None for i in range(3)] == [True, False, True]
    assert not any(key.key.split(".")[1] in repr(found) for key in keys)


def test_a_key_never_changes_and_never_comes_back(database: Database) -> None:
    key = make_key(database, Scope.read)
    changes = ("scopes = '{admin}'", "secret_hash = sha256('x')", "name = 'other'", "prefix = 'other'")
    for change in changes:
        with pytest.raises(Exception, match="keeps its secret"), database.engine.begin() as connection:
            connection.execute(text(f"UPDATE api_keys SET {change} WHERE id = :id"), {"id": key.id})  # noqa: S608
    with database.unit_of_work() as session:
        revoke_key(session, key.prefix)
    with pytest.raises(Exception, match="stays revoked"), database.engine.begin() as connection:
        connection.execute(text("UPDATE api_keys SET revoked_at = NULL WHERE id = :id"), {"id": key.id})


@pytest.mark.parametrize("values", ["scopes = '{}'", "scopes = '{owner}'", "secret_hash = 'short'"])
def test_the_database_refuses_a_key_that_is_none(database: Database, values: str) -> None:
    key = make_key(database)
    with database.engine.begin() as connection:
        connection.execute(text("ALTER TABLE api_keys DISABLE TRIGGER USER"))
    with pytest.raises(Exception, match="ck_api_keys"), database.engine.begin() as connection:
        connection.execute(text(f"UPDATE api_keys SET {values} WHERE id = :id"), {"id": key.id})  # noqa: S608


def test_nothing_of_a_body_is_read_before_the_key_is(client: Api, app: FastAPI) -> None:
    async def ask(path: str) -> tuple[int, int]:
        answer: list[Any] = []
        pieces = 0

        async def receive() -> dict[str, Any]:
            nonlocal pieces
            pieces += 1
            return {"type": "http.request", "body": b" " * 65_536, "more_body": True}

        async def send(message: Any) -> None:  # noqa: ANN401  # ASGI
            answer.append(message)

        headers = [(b"content-type", b"application/json"), (b"transfer-encoding", b"chunked")]
        scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
        await app(scope, receive, send)
        return answer[0]["status"], pieces

    portal = client.portal
    assert portal is not None
    for below in ("claims", "verdicts", "versions", "reproductions"):
        assert portal.call(ask, f"/v1/papers/{PAPER}/{below}") == (401, 0)


def test_reading_can_take_a_key_too(api: Api, database: Database, settings: Settings) -> None:
    reader = make_key(database, Scope.read)
    verdict = api.post_verdict()["id"]
    public = [
        "/v1/papers",
        f"/v1/papers/{PAPER}",
        f"/v1/papers/{PAPER}v1",
        f"/v1/papers/{PAPER}/verdicts",
        f"/v1/verdicts/{verdict}",
        f"/v1/verdicts/{verdict}/evidence",
        "/v1/reproductions",
        "/v1/drivers",
    ]
    with service(settings, reads="keys") as closed:
        for path in public:
            refused(without_key(closed, "GET", path), 401, "key_required")
            assert without_key(closed, "HEAD", path).status_code == 401
            answer = with_key(closed, reader, "GET", path)
            assert answer.content == api.get(path).content
            assert "public" not in answer.headers["cache-control"]
            assert "access-control-allow-origin" not in answer.headers
            refused(without_key(closed, "GET", path), 401, "key_required")
            held = with_key(closed, reader, "GET", path, headers={"If-None-Match": answer.headers["etag"]})
            assert held.status_code == 304
            refused(with_key(closed, "pv_0.x", "GET", path), 401, "key_invalid")
        for path in ("/healthz", "/readyz", "/openapi.json", "/docs"):
            assert without_key(closed, "GET", path).status_code == 200
        declared = ok(closed.get("/openapi.json"))["paths"]["/v1/papers"]["get"]["security"]
    assert declared == [{"apiKey": ["read"]}]


@pytest.mark.usefixtures("api")
def test_a_wrong_key_is_looked_up_once_where_memory_would_answer_too(client: Api, database: Database) -> None:
    wrong = make_key(database, Scope.read).prefix + ".wrong"
    for path in (f"/v1/papers/{PAPER}", "/v1/papers"):
        with counted(database) as statements:
            refused(with_key(client, wrong, "GET", path), 401, "key_invalid")
        assert len(statements) == 1, statements


def test_the_document_names_the_scheme_and_each_scope(client: Api, app: FastAPI) -> None:
    document = app.openapi()
    scheme = document["components"]["securitySchemes"]["apiKey"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if "security" in operation:
                assert {"401", "429"} <= set(operation["responses"]), (method, path)
                assert ({} in operation["security"]) or "403" in operation["responses"], (method, path)
    assert document["paths"]["/v1/papers/{paper_id}"]["get"]["security"] == [{}, {"apiKey": []}]
    assert document["paths"]["/v1/papers/{paper_id}"]["put"]["security"] == [{"apiKey": ["curate"]}]
    assert client.get("/v1/papers").status_code == 200


def test_what_may_be_done_by_whom() -> None:
    nobody = Actor(name="key:x", operation="x")
    assert [nobody.may(scope) for scope in Scope] == [True, False, False, False, False]
    admin = Actor(name="key:x", operation="x", scopes=frozenset({Scope.admin}))
    assert all(admin.may(scope) for scope in Scope)


def test_a_key_needs_a_scope(database: Database) -> None:
    with pytest.raises(Exception, match="ck_api_keys_scopes"), database.unit_of_work() as session:
        create_key(session, "nothing", [])


def test_with_a_scope_too_few_nothing_is_written(api: Api, database: Database) -> None:
    key = make_key(database, Scope.reproduce)
    with unchanged(database):
        refused(with_key(api, key, "PUT", f"/v1/papers/{PAPER}", json=paper_body()), 403, "scope_missing")
        refused(with_key(api, key, "POST", f"/v1/papers/{PAPER}/claims", json=claim_body()), 403, "scope_missing")
