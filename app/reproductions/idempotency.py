"""Idempotency-Key: the repetition of a request gets the answer of the first."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated

from fastapi import Header
from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.models import IdempotencyKey
from app.reproductions.errors import IdempotencyKeyError

IdempotencyKeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[^\x00-\x1f\x7f]*$",
        description="Repeating a request with the same key within 24 hours gives the same answer, once more.",
    ),
]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered with."""

    status: int
    location: str
    body: bytes


def once(session: Session, key: str | None, request: bytes, answer: Callable[[], Answer]) -> tuple[Answer, bool]:
    """The answer to the request, made now or kept from its first time, and whether it was kept.

    The key's row is inserted first and committed with the work itself: a concurrent request with the same key waits for
    that commit, and a request that fails leaves no key. Raises IdempotencyKeyError where the key came with another
    request before.
    """
    if key is None:
        return answer(), False
    digest = sha256(request).hexdigest()
    session.execute(
        delete(IdempotencyKey).where(
            IdempotencyKey.caller == "", IdempotencyKey.key == key, IdempotencyKey.created_at < _a_day_ago()
        )
    )
    made = session.scalar(
        insert(IdempotencyKey)
        .values(caller="", key=key, request_hash=digest)
        .on_conflict_do_nothing()
        .returning(IdempotencyKey.key)
    )
    row = session.scalars(select(IdempotencyKey).where(IdempotencyKey.caller == "", IdempotencyKey.key == key)).one()
    if made is None:
        if row.request_hash != digest:
            detail = "This Idempotency-Key came with another request before; use a new key for a new request."
            raise IdempotencyKeyError(detail)
        return Answer(row.status or 200, row.location or "", row.body or b""), True
    fresh = answer()
    row.status, row.location, row.body = fresh.status, fresh.location, fresh.body
    return fresh, False


def _a_day_ago() -> object:
    return func.now() - text("interval '24 hours'")
