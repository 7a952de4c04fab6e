"""Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a repeated request gets the answer of the first."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Final

from fastapi import Depends, Header, Request, Response
from psycopg.errors import LockNotAvailable
from pydantic import BaseModel
from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.access.errors import IdempotencyBusyError, IdempotencyKeyError
from app.access.routes import ActorDep
from app.core.settle import settle_after_commit
from app.core.web import SessionDep
from app.models import IdempotencyKey

WAIT_S: Final = 10.0
"""So long a repetition waits for the first request's end before it is told to come back."""
_PURGED_AT_ONCE: Final = 1000
_KEPT: Final = text("interval '24 hours'")

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
    headers: dict[str, str]
    body: bytes


class Once:
    """Answers a request once for each Idempotency-Key of its caller; each time where it names none."""

    def __init__(self, request: Request, session: Session, caller: str, key: str | None) -> None:
        self._session, self._caller, self._key = session, caller, _bare(key)
        self._request = f"{request.method} {request.scope['path']} "

    def __call__(self, body: BaseModel, respond: Callable[[], Response]) -> Response:
        """The response, made now or kept from the first time. Raises what `once` raises."""

        def answer() -> Answer:
            response = respond()
            headers = {name: value for name, value in response.headers.items() if name != "content-length"}
            return Answer(response.status_code, headers, bytes(response.body))

        if self._key is None:
            return respond()
        request = (self._request + body.model_dump_json()).encode()
        given, kept = once(self._session, self._caller, self._key, request, answer)
        headers = given.headers | ({"Idempotent-Replayed": "true"} if kept else {})
        return Response(given.body, given.status, headers)


async def get_once(
    request: Request, session: SessionDep, actor: ActorDep, idempotency_key: IdempotencyKeyHeader = None
) -> Once:
    """Idempotency for the caller of this request."""
    return Once(request, session, str(actor.key_id), idempotency_key)


OnceDep = Annotated[Once, Depends(get_once)]


def once(
    session: Session, caller: str, key: str, request: bytes, answer: Callable[[], Answer], wait_s: float = WAIT_S
) -> tuple[Answer, bool]:
    """The answer to the caller's request, made now or kept from its first time, and whether it was kept.

    The key's row is inserted first and committed with the work itself: a concurrent request with the same key waits for
    that commit, and a request that fails, or whose process dies, leaves no key. Raises IdempotencyKeyError where the
    key came with another request before, IdempotencyBusyError where the first takes longer than `wait_s`.
    """
    digest = sha256(request).hexdigest()
    mine = (IdempotencyKey.caller == caller, IdempotencyKey.key == key)
    session.execute(delete(IdempotencyKey).where(*mine, IdempotencyKey.created_at < func.now() - _KEPT))
    made = _insert(session, {"caller": caller, "key": key, "request_hash": digest}, wait_s)
    row = session.scalars(select(IdempotencyKey).where(*mine)).one()
    if not made:
        if row.request_hash != digest:
            detail = "This Idempotency-Key came with another request before; use a new key for a new request."
            raise IdempotencyKeyError(detail)
        # The first time has committed, and may not have been acknowledged yet: to repeat its answer acknowledges it.
        settle_after_commit(session)
        return Answer(row.status or 200, row.headers or {}, row.body or b""), True
    fresh = answer()
    row.status, row.headers, row.body = fresh.status, fresh.headers, fresh.body
    return fresh, False


def _insert(session: Session, values: dict[str, str], wait_s: float) -> bool:
    """Whether the row is new. Waits for another transaction that is just inserting it."""
    within = text("SELECT set_config('lock_timeout', :wait, true)")
    session.execute(within, {"wait": f"{int(wait_s * 1000)}ms"})
    statement = insert(IdempotencyKey).values(**values).on_conflict_do_nothing().returning(IdempotencyKey.key)
    try:
        made = session.scalar(statement) is not None
    except OperationalError as error:
        if not isinstance(error.orig, LockNotAvailable):
            raise
        detail = "The first request with this Idempotency-Key is still being answered; repeat it in a moment."
        raise IdempotencyBusyError(detail, headers={"Retry-After": "1"}) from error
    session.execute(within, {"wait": "0"})
    return made


def purge_idempotency_keys(session: Session) -> int:
    """Forget some of the keys that are older than 24 hours; returns how many."""
    old = (
        select(IdempotencyKey.caller, IdempotencyKey.key)
        .where(IdempotencyKey.created_at < func.now() - _KEPT)
        .limit(_PURGED_AT_ONCE)
        .with_for_update(skip_locked=True)
        .cte("old")
    )
    statement = (
        delete(IdempotencyKey)
        .where(IdempotencyKey.caller == old.c.caller, IdempotencyKey.key == old.c.key)
        .returning(IdempotencyKey.key)
    )
    return len(session.execute(statement.execution_options(synchronize_session=False)).all())


def _bare(key: str | None) -> str | None:
    """The key out of a quoted string, which is how the draft writes it; as it stands otherwise."""
    quoted = key is not None and len(key) > 2 and key[0] == key[-1] == '"'  # noqa: PLR2004  # the quotes
    return key[1:-1].replace('\\"', '"').replace("\\\\", "\\") if key is not None and quoted else key
