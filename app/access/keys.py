"""Make, list and revoke API keys."""

import secrets
from collections.abc import Collection
from hashlib import sha256
from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.access.audit import record
from app.access.errors import KeyNotFoundError
from app.access.schemas import KeyCreated, KeyRead
from app.access.scopes import Scope
from app.models import ApiKey

_SECRET_BYTES: Final = 32


def digest_of(secret: str) -> bytes:
    """What is stored of a secret. It is 256 random bits, so there is nothing to guess and a fast hash will do."""
    return sha256(secret.encode()).digest()


def create_key(session: Session, name: str, scopes: Collection[Scope]) -> KeyCreated:
    """Make a key. What is returned holds the secret, which cannot be had again."""
    prefix, secret = f"pv_{secrets.token_hex(6)}", secrets.token_urlsafe(_SECRET_BYTES)
    key = ApiKey(prefix=prefix, name=name, secret_hash=digest_of(secret), scopes=sorted(set(scopes)))
    session.add(key)
    session.flush()
    session.refresh(key)
    record(session, "key.created", f"keys/{prefix}", {"name": name, "scopes": key.scopes})
    return KeyCreated(**_read(key).model_dump(), key=f"{prefix}.{secret}")


def list_keys(session: Session) -> list[KeyRead]:
    """Every key, oldest first, the revoked ones too."""
    return [_read(key) for key in session.scalars(select(ApiKey).order_by(ApiKey.id))]


def revoke_key(session: Session, prefix: str) -> KeyRead:
    """End a key for good; doing so twice is fine. Takes the prefix, with or without what follows its dot.

    Processes that know the key stop accepting it within `access.key_cache_s`. Raises KeyNotFoundError.
    """
    wanted = prefix.partition(".")[0]
    revoked = session.scalar(
        update(ApiKey)
        .where(ApiKey.prefix == wanted, ApiKey.revoked_at.is_(None))
        .values(revoked_at=func.now())
        .returning(ApiKey.id)
    )
    key = session.scalar(select(ApiKey).where(ApiKey.prefix == wanted))
    if key is None:
        detail = f"There is no key {wanted}; `verdicts keys list` shows them."
        raise KeyNotFoundError(detail)
    if revoked is not None:
        record(session, "key.revoked", f"keys/{wanted}", {"name": key.name})
    return _read(key)


def _read(key: ApiKey) -> KeyRead:
    return KeyRead.model_validate(key, from_attributes=True)
