"""Designs over HTTP."""

from fastapi import Request, Response

from app.access.routes import public_router
from app.core.etag import reply_model
from app.core.web import JsonOnly, SessionDep, problems
from app.designs.plan import plan
from app.designs.schemas import DesignPost, DesignRead

public = public_router(tags=["designs"], dependencies=[JsonOnly], responses=problems(400, 408, 413, 415, 422))


@public.post("/designs", operation_id="planDesign", response_model=DesignRead, responses=problems(404))
def post_design(request: Request, session: SessionDep, post: DesignPost) -> Response:
    """How many examples it takes to find a true claim reproduced, and how long that takes. Runs nothing."""
    return reply_model(request, plan(session, post))
