"""The message as it is sent: its id, when it is sent, and a signature by each secret that is valid."""

import base64
import secrets
from datetime import datetime
from typing import Final

from standardwebhooks import Webhook as Signer

_SECRET_BYTES: Final = 32
PREFIX: Final = "whsec_"


def new_secret() -> str:
    """256 random bits, as the rules write them."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def message_id(position: int) -> str:
    """The `webhook-id` of an event: the same for each attempt, so that a receiver knows what it had already."""
    return f"evt_{position}"


def signed_headers(position: int, at: datetime, body: str, valid: tuple[str, ...]) -> dict[str, str]:
    """The headers of an attempt. `at` is in UTC."""
    name = message_id(position)
    return {
        "webhook-id": name,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Signer(secret).sign(name, at, body) for secret in valid),
    }
