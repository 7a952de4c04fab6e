"""How many changes a key and an address may ask for in a minute, counted in Redis for all processes together."""

import time
from math import ceil
from typing import Final

import redis
import structlog
from limits import RateLimitItemPerMinute
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.access.count import Count
from app.access.errors import LimitsUnavailableError, RateLimitedError
from app.access.local import LocalLimiter

_ANSWER_S: Final = 2.0
"""Redis that is down refuses at once; one that is slow, on a busy machine, is no reason to refuse a change."""
_AWAY_S: Final = 1.0
"""So long Redis is left alone after it did not answer, so that not every request waits for it."""
_log = structlog.get_logger(__name__)


class Counters:
    """Redis, as far as it answers."""

    def __init__(self, url: str) -> None:
        # One more try at once, for a connection that went stale in the pool, and not for one that hangs; then the
        # request goes on without Redis.
        again = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
        pool = redis.ConnectionPool.from_url(
            url, socket_timeout=_ANSWER_S, socket_connect_timeout=_ANSWER_S, retry=again
        )
        self.storage: Final = RedisStorage("redis://", connection_pool=pool)
        self._pool = pool
        self._away_until = 0.0

    @property
    def are_away(self) -> bool:
        """Whether Redis has just not answered, and is not asked again yet."""
        return time.monotonic() < self._away_until

    def note_away(self, error: redis.RedisError) -> None:
        """Redis did not answer."""
        self._away_until = time.monotonic() + _AWAY_S
        _log.warning("rate_limits_unavailable", error=type(error).__name__)

    def close(self) -> None:
        """Close the connections."""
        self._pool.disconnect()


class WriteLimit:
    """One limit: so many requests a minute of each caller."""

    def __init__(self, policy: str, per_minute: int, counters: Counters) -> None:
        self._policy, self._item = policy, RateLimitItemPerMinute(per_minute, namespace=f"verdicts-{policy}")
        self._counters = counters
        self._window = SlidingWindowCounterRateLimiter(counters.storage)
        self._stand_in = LocalLimiter(per_minute)

    def hit(self, caller: str, *, may_stand_in: bool) -> Count:
        """Count a request. Raises RateLimitedError.

        Without Redis the count of this process stands in where that is allowed; else raises LimitsUnavailableError.
        """
        if not self._counters.are_away:
            try:
                return self._hit_redis(caller)
            except redis.RedisError as error:
                self._counters.note_away(error)
        if not may_stand_in:
            raise LimitsUnavailableError
        return self._hit_here(caller)

    def _hit_redis(self, caller: str) -> Count:
        passed = self._window.hit(self._item, caller)
        stats = self._window.get_window_stats(self._item, caller)
        reset_s = max(1, ceil(stats.reset_time - time.time()))
        if not passed:
            raise RateLimitedError(self._policy, reset_s, self._item.amount)
        return Count(self._policy, self._item.amount, stats.remaining, reset_s)

    def _hit_here(self, caller: str) -> Count:
        now = time.monotonic()
        wait_s = self._stand_in.wait_s(caller, now)
        if wait_s:
            raise RateLimitedError(self._policy, wait_s, self._item.amount)
        return Count(self._policy, self._item.amount, *self._stand_in.stands(caller, now))
