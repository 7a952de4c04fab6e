"""All pages, in the order in which they are matched."""

from typing import Final

from fastapi import APIRouter

from app.dashboard import asking, comparing, drivers, index, papers, runs, verdicts
from app.dashboard.assets import static
from app.dashboard.docs import docs

# A paper's own address ends in an id that may hold a slash, so what is below a paper comes before it.
PAGES: Final[tuple[APIRouter, ...]] = (
    index.router,
    asking.router,
    papers.router,
    verdicts.router,
    comparing.router,
    runs.router,
    drivers.router,
)
FORMS: Final[tuple[APIRouter, ...]] = (asking.forms,)
STATIC: Final[tuple[APIRouter, ...]] = (static, docs)
