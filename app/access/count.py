"""How limits stand, in the standard headers (draft-ietf-httpapi-ratelimit-headers-10)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_MINUTE: Final = 60


@dataclass(frozen=True, slots=True)
class Count:
    """How a limit stands after a request."""

    policy: str
    limit: int
    remaining: int
    reset_s: int

    @property
    def policy_field(self) -> str:
        """Its item in `RateLimit-Policy`."""
        return f'"{self.policy}";q={self.limit};w={_MINUTE}'

    @property
    def limit_field(self) -> str:
        """Its item in `RateLimit`."""
        return limit_format(self.policy) % (self.remaining, self.reset_s)


def limit_format(policy: str) -> str:
    """An item of `RateLimit`, for what is left and the seconds until all is."""
    return f'"{policy}";r=%d;t=%d'


def standing(counts: Iterable[Count]) -> dict[str, str]:
    """The headers that say it of these limits."""
    counts = list(counts)
    return {
        "RateLimit-Policy": ", ".join(count.policy_field for count in counts),
        "RateLimit": ", ".join(count.limit_field for count in counts),
    }


class Told:
    """The headers of one limit, made for every answer: in a quarter of what `headers_of` and its counts take."""

    def __init__(self, policy: str, limit: int) -> None:
        self._policy = (b"ratelimit-policy", Count(policy, limit, 0, 0).policy_field.encode())
        self._stands = limit_format(policy).encode()

    def headers(self, remaining: int, reset_s: int) -> list[tuple[bytes, bytes]]:
        """As ASGI has them."""
        return [self._policy, (b"ratelimit", self._stands % (remaining, reset_s))]


def headers_of(counts: Iterable[Count]) -> list[tuple[bytes, bytes]]:
    """The same as ASGI has them."""
    return [(name.lower().encode(), value.encode()) for name, value in standing(counts).items()]
