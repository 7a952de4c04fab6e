"""What Prometheus scrapes."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from app.core.routes import OperationsRoute

router = APIRouter(tags=["operations"], route_class=OperationsRoute)


async def counted(request: Request) -> CollectorRegistry:
    """The metrics, after the event loop has counted what it had noted."""
    request.app.state.journal.flush()
    registry: CollectorRegistry = request.app.state.registry
    return registry


@router.get(
    "/metrics",
    operation_id="getMetrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(registry: Annotated[CollectorRegistry, Depends(counted)]) -> Response:
    """Requests, latency, the queue, runs by state, workers, the memory for answers, the sweep."""
    return Response(
        generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"}
    )
