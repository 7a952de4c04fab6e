"""Keys for the tests' clients."""

from collections.abc import Callable

import httpx
from sqlalchemy import text

from app.access.actor import Actor
from app.access.keys import create_key
from app.access.schemas import KeyCreated
from app.access.scopes import Scope
from app.core.db import Database


def make_key(database: Database, *scopes: Scope, name: str = "a test", note_use: bool = False) -> KeyCreated:
    """A key. Its use is not noted unless that is asked for: tests compare whole databases."""
    with database.unit_of_work() as session:
        made = create_key(session, name, scopes or (Scope.admin,))
        if not note_use:
            session.execute(text("UPDATE api_keys SET last_used_at = '2100-01-01' WHERE id = :id"), {"id": made.id})
        return made


def holder(key: KeyCreated, operation: str = "requestReproduction") -> Actor:
    """Who comes with this key."""
    return Actor(name=f"key:{key.prefix}", operation=operation, key_id=key.id, scopes=frozenset(key.scopes))


def sign_changes(key: str) -> Callable[[httpx.Request], None]:
    """A hook for a client: sends the key with whatever changes something. Reads go as anybody's."""

    def sign(request: httpx.Request) -> None:
        if request.method not in {"GET", "HEAD"}:
            request.headers["Authorization"] = f"Bearer {key}"

    return sign
