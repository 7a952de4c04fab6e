"""The routers of the API, in two lists: what everybody may read, and what takes a key. And those of the pages."""

from typing import Final

from fastapi import APIRouter

from app.access import endpoints as access
from app.badges import endpoints as badges
from app.catalogue import endpoints as catalogue
from app.claims import endpoints as claims
from app.dashboard import pages
from app.designs import endpoints as designs
from app.drivers import endpoints as drivers
from app.events import endpoints as events
from app.exports import dataset_endpoints as dataset
from app.exports import endpoints as exports
from app.papers import endpoints as papers
from app.reproductions import endpoints as reproductions
from app.verdicts import endpoints as verdicts
from app.webhooks import endpoints as webhooks

# A paper's own address ends in an id that may hold a slash, so the routes below a paper come before it.
PUBLIC: Final[tuple[APIRouter, ...]] = (
    badges.public,
    events.public,
    exports.public,
    dataset.public,
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
    claims.files,
    catalogue.protected,
    papers.protected,
)
WELL_KNOWN: Final[tuple[APIRouter, ...]] = (exports.well_known,)
"""Public, too, and below no version: RFC 8615 gives their addresses."""


def v1() -> APIRouter:
    """Version 1 of the API: the routes themselves, as FastAPI walks routers within routers twice a request."""
    return APIRouter(routes=[route for part in (*PUBLIC, *PROTECTED) for route in part.routes])


def site() -> APIRouter:
    """What people see: pages, their forms, and the files that belong to them. None of it is in the OpenAPI document."""
    return APIRouter(routes=[route for part in (*pages.PAGES, *pages.FORMS, *pages.STATIC) for route in part.routes])
