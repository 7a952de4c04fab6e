"""Tell whose key it is, without a round trip to the database on each request."""

import hmac
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import func, or_, select, text, update
from sqlalchemy.orm import Session

from app.access.errors import KeyInvalidError
from app.access.keys import digest_of
from app.access.scopes import Scope
from app.core.db import Database
from app.models import ApiKey

_MOST: Final = 10_000
"""Keys that are remembered at once; only keys that exist are, so nobody fills this from outside."""
_FORM: Final = re.compile(r"[A-Za-z0-9_]{1,64}\.[A-Za-z0-9_-]{1,128}")
_NOBODY: Final = digest_of("")
_NOT_SINCE_A_MINUTE: Final = or_(
    ApiKey.last_used_at.is_(None), ApiKey.last_used_at < func.now() - text("interval '1 minute'")
)


@dataclass(frozen=True, slots=True)
class Key:
    """A key that is valid."""

    id: UUID
    prefix: str
    name: str
    scopes: frozenset[Scope]
    digest: bytes


class Keyring:
    """Remembers a key for `keep_s` seconds: so long at most is a revoked one still accepted."""

    def __init__(self, database: Database, keep_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._database, self._keep_s, self._clock = database, keep_s, clock
        self._known: dict[str, tuple[float, Key]] = {}

    def find(self, token: str) -> Key:
        """The key that this is, whole. Raises KeyInvalidError; how long that takes does not tell what was wrong.

        Only its holder is answered from memory: a wrong secret of a key that is remembered takes as long as any other.
        """
        if not _FORM.fullmatch(token):
            raise KeyInvalidError
        prefix, _, secret = token.partition(".")
        given, asked_at = digest_of(secret), self._clock()
        until, known = self._known.get(prefix, (0.0, None))
        if known is not None and asked_at < until and hmac.compare_digest(given, known.digest):
            return known
        key, is_unused = self._look_up(prefix)
        if not hmac.compare_digest(given, key.digest if key else _NOBODY) or key is None:
            raise KeyInvalidError
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[prefix] = (asked_at + self._keep_s, key)
        if is_unused:
            with self._database.unit_of_work() as session:
                _touch(session, key.id)
        return key

    def _look_up(self, prefix: str) -> tuple[Key | None, bool]:
        """The key of this name, as it is stored, and whether its use is to be noted."""
        with self._database.unit_of_work() as session:
            row = session.execute(
                select(ApiKey, _NOT_SINCE_A_MINUTE).where(ApiKey.prefix == prefix, ApiKey.revoked_at.is_(None))
            ).one_or_none()
        if row is None:
            self._known.pop(prefix, None)
            return None, False
        found, is_unused = row
        return Key(
            found.id, found.prefix, found.name, frozenset(map(Scope, found.scopes)), found.secret_hash
        ), is_unused


def _touch(session: Session, key_id: UUID) -> None:
    """Note the use, at most once a minute; not now, where somebody else is at the row."""
    free = (
        select(ApiKey.id)
        .where(ApiKey.id == key_id, _NOT_SINCE_A_MINUTE)
        .with_for_update(skip_locked=True, key_share=True)
        .scalar_subquery()
    )
    session.execute(
        update(ApiKey)
        .where(ApiKey.id == free)
        .values(last_used_at=func.now())
        .execution_options(synchronize_session=False)
    )
