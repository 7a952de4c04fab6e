"""The ASGI application: `uvicorn --factory app.main:serve`."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.datastructures import State
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette_compress import remove_compress_type

from app.access.door import Door
from app.access.gate import Gate
from app.access.openapi import add_security
from app.access.tally import Tally
from app.api import WELL_KNOWN, site, v1
from app.core.afterwards import Afterwards
from app.core.body_clock import BodyClock
from app.core.collector import freeze
from app.core.compression import Compression
from app.core.cors import PublicCors
from app.core.db import Database
from app.core.described import router as described
from app.core.edge import Edge
from app.core.errors import install_error_handlers
from app.core.health import router as operations
from app.core.journal import Journal
from app.core.logging import configure_logging
from app.core.metrics import router as metrics
from app.core.openapi import finish
from app.core.patience import STOPPING
from app.core.plan import Plans
from app.core.queue import REQUEST_PATIENCE_S, Doorbell, make_celery
from app.core.requests import Bound, Ids, Requests
from app.core.settings import Settings
from app.core.short_cut import ShortCut
from app.core.telemetry import start_telemetry, stop_telemetry
from app.core.web import add_problem_schema
from app.dashboard.errors import install_error_pages
from app.dashboard.render import compile_all
from app.events.feed import Feed
from app.events.metrics import StreamMetrics
from app.events.prune import prune_events
from app.events.slots import Slots
from app.events.stream import MEDIA_TYPE as EVENT_STREAM
from app.exports.downloads import Downloads
from app.exports.signing import SigningKey
from app.hot.careful import Careful
from app.hot.dispatcher import Hot
from app.hot.lane import Lane
from app.hot.metrics import HotMetrics
from app.hot.serving import Serving
from app.hot.subjects import subject_of
from app.reference import CONTACT, LICENCE, SERVERS, read_reference
from app.reproductions.metrics import QueueMetrics
from app.reproductions.sweeper import Sweeper
from app.webhooks.courier import Courier
from app.webhooks.prune import prune_deliveries

DESCRIPTION = """
Papers report numbers; nobody knows which of them hold. This service re-measures a reported number and serves the
verdict: *reproduced*, *not reproduced* or *inconclusive*, with the evidence for it.

Reading is for everybody, unless the operator has it otherwise. What changes something takes an API key, sent as
`Authorization: Bearer prefix.secret`; `verdicts keys create`, on the service's machine, makes one. On the page `/docs`
the operations that take a key have a lock: open until "Authorize" has been told one.
"""

remove_compress_type(EVENT_STREAM)  # a compressor for each stream would take a megabyte for as long as it is open


class Service(FastAPI):
    """FastAPI inside our own edge."""

    lane: Lane
    _watched = True
    """Whether FastAPI itself is to tell of each request."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection: from memory before FastAPI is called at all, or by the layers below."""
        await self.lane(scope, receive, send)

    async def usual_way(self, scope: Scope, receive: Receive, send: Send) -> None:
        """FastAPI's own."""
        if self._watched or self.middleware_stack is None or scope["type"] != "http":
            await super().__call__(scope, receive, send)
        else:
            scope["app"] = self
            await self.middleware_stack(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        """All of FastAPI's layers, and ours around them, from the inside out."""
        state = self.state
        inside = BodyClock(super().build_middleware_stack(), state.settings.limits)
        compression = Compression(inside)
        finished = Bound(Edge(compression))
        self._watched = self._native_telemetry.enabled()
        # What FastAPI is to tell of its work it has to do itself.
        short = finished if self._watched else ShortCut(finished, Plans(self.router.routes), compression)
        hot, careful = Hot(short, state.serving, compression), Careful(finished, state.serving.waiting)
        app = PublicCors(Door(hot, careful, state.gate, subject_of))
        return Requests(app, state.journal, state.ids)

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        if self.openapi_schema is None:
            document = add_problem_schema(super().openapi())
            add_security(document, self.state.settings.access)
            finish(document, read_reference())
        return super().openapi()


class SettingsMissingError(RuntimeError):
    """The service was started without a database or a Redis."""


def create_app(settings: Settings | None = None) -> Service:
    """The service on the database and Redis of the settings, which come from the environment where none are given."""
    settings = settings or Settings()
    if settings.database_url is None or settings.redis_url is None:
        message = "set VERDICTS_DATABASE_URL and VERDICTS_REDIS_URL, or start everything with `verdicts up`"
        raise SettingsMissingError(message)
    configure_logging(settings.log_level)
    start_telemetry("paper-verdicts-api")
    app = Service(
        title="Paper Verdicts",
        version=version("paper-verdicts"),
        description=DESCRIPTION.strip(),
        contact=CONTACT,
        license_info=LICENCE,
        servers=SERVERS,
        lifespan=_lifespan,
        openapi_url=None,  # app.core.described has it, made once
        docs_url=None,  # app.dashboard.assets has a page that fetches nothing from other hosts
        redoc_url=None,
        max_body_size=settings.limits.body_bytes,
        redirect_slashes=False,  # the redirect would be made of the Host header, whatever that says
    )
    _equip(app.state, settings, settings.database_url, settings.redis_url)
    _count(app.state)
    tally = Tally(app.state.gate.requests, settings.access.networks)
    app.lane = Lane(app.usual_way, app.state.serving, app.state.journal, app.state.ids, tally)
    install_error_handlers(app)
    install_error_pages(app)
    parts = (operations, metrics, described, v1(), *WELL_KNOWN, site())
    app.router.routes.extend(route for part in parts for route in part.routes)
    return app


def _equip(state: State, settings: Settings, database_url: str, redis_url: str) -> None:
    """What the layers and the endpoints find in the application's state."""
    state.settings, state.described = settings, None
    state.database = database = Database(
        database_url, pool_size=settings.database_pool, idle_s=settings.database_idle_s
    )
    state.doorbell = Doorbell(make_celery(redis_url, patience_s=REQUEST_PATIENCE_S))
    state.serving = serving = Serving(settings, database)
    # The API sweeps too, so that runs expire and bells ring again while no worker is up.
    chores = {
        "purged_events": partial(prune_events, keep_days=settings.events.keep_days),
        "purged_deliveries": partial(prune_deliveries, keep_days=settings.events.keep_days),
    }
    state.sweeper = Sweeper(database, state.doorbell, settings.queue, chores=chores)
    state.feed = Feed(database, settings.events, serving.cache.watch, serving.settled)
    state.courier = Courier(database, settings.webhooks, serving.cache.watch, serving.settled)
    state.streams = Slots(settings.events)
    state.journal = Journal(log=logging.getLogger().isEnabledFor(logging.INFO))
    state.ids = Ids()
    state.gate = Gate(settings.access, database, redis_url)
    state.downloads = Downloads(database, settings.exports)
    state.afterwards = Afterwards()
    state.signing_key = SigningKey.read(settings.signing_key_file) if settings.signing_key_file else None


def _count(state: State) -> None:
    """What Prometheus is told."""
    state.registry = CollectorRegistry()
    for collector in (
        StreamMetrics(state.streams),
        HotMetrics(state.serving, state.journal),
        QueueMetrics(state.database, state.sweeper),
        state.journal,
    ):
        state.registry.register(collector)


def serve() -> ASGIApp:
    """The service in a process of its own."""
    app = create_app()
    app.state.afterwards = Afterwards(["scipy.stats"])  # the first to decide about a claim would wait for it
    compile_all()
    freeze()
    return app.lane  # what is in memory needs nothing of the application around it


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    await app.state.serving.open()
    await app.state.feed.open()
    await app.state.courier.open()
    with app.state.sweeper, app.state.afterwards:
        yield {STOPPING: app.state.feed.stop}
    await app.state.feed.close()
    await app.state.courier.close()
    await app.state.serving.close()
    app.state.journal.flush()
    app.state.doorbell.close()
    app.state.gate.close()
    app.state.database.close()
    stop_telemetry()
