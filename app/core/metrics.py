"""Prometheus metrics of the process: one registry for each application."""

from typing import Final

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from app.core.requests import Exchange

PREFIX: Final = "paper_verdicts"
_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
router = APIRouter(tags=["operations"])


class HttpMetrics:
    """Counts requests and their latency by operation."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests: Final = Counter(
            f"{PREFIX}_http_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._seconds: Final = Histogram(
            f"{PREFIX}_http_request_seconds",
            "From the request's headers to the last byte handed to the server.",
            ("route",),
            buckets=_BUCKETS,
            registry=registry,
        )
        # Looking a child up by its labels takes longer than counting with it.
        self._known: Final[dict[tuple[str, str, int], tuple[Counter, Histogram]]] = {}

    def __call__(self, exchange: Exchange) -> None:
        """Count one exchange."""
        method = exchange.scope["method"]
        key = (method if method in _METHODS else "other", exchange.route, exchange.status)
        found = self._known.get(key)
        if found is None:
            found = self._requests.labels(key[0], key[1], str(key[2])), self._seconds.labels(key[1])
            self._known[key] = found
        found[0].inc()
        found[1].observe(exchange.seconds)


_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@router.get(
    "/metrics",
    operation_id="getMetrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(request: Request) -> Response:
    """What Prometheus scrapes: requests, latency, the queue, runs by state, workers, the cache, the sweep."""
    body = generate_latest(request.app.state.registry)
    return Response(body, headers={"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"})
