"""The OpenAPI document over HTTP: made once, with a tag, for it is the same as long as the process lives."""

import json

from fastapi import APIRouter, Request, Response

from app.core.etag import reply
from app.core.routes import OperationsRoute

router = APIRouter(tags=["operations"], route_class=OperationsRoute)


@router.get("/openapi.json", include_in_schema=False)
async def get_openapi(request: Request) -> Response:
    """What there is, and how to ask for it. On the event loop, so that two who ask first do not both make it."""
    state = request.app.state
    if state.described is None:
        state.described = json.dumps(request.app.openapi(), ensure_ascii=False, separators=(",", ":")).encode()
    return reply(request, state.described)
