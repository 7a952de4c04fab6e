"""The routers of the API, in two lists: what everybody may read, and what takes a key."""

from typing import Final

from fastapi import APIRouter

from app.access import endpoints as access
from app.badges import endpoints as badges
from app.claims import endpoints as claims
from app.designs import endpoints as designs
from app.drivers import endpoints as drivers
from app.events import endpoints as events
from app.papers import endpoints as papers
from app.reproductions import endpoints as reproductions
from app.verdicts import endpoints as verdicts
from app.webhooks import endpoints as webhooks

# A paper's own address ends in an id that may hold a slash, so the routes below a paper come before it.
PUBLIC: Final[tuple[APIRouter, ...]] = (
    badges.public,
    events.public,
    verdicts.public,
    reproductions.public,
    claims.public,
    drivers.public,
    designs.public,
    papers.public,
)
PROTECTED: Final[tuple[APIRouter, ...]] = (
    access.protected,
    webhooks.protected,
    verdicts.protected,
    reproductions.protected,
    claims.protected,
    papers.protected,
)


def v1() -> APIRouter:
    """Version 1 of the API."""
    router = APIRouter(prefix="/v1")
    for part in (*PUBLIC, *PROTECTED):
        router.include_router(part)
    return router
