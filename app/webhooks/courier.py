"""The sending: takes what is due, brings it to its receivers, and writes down what came of it."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any, Final

import httpx
import structlog
from anyio import to_thread

from app.core.db import Database
from app.core.outgoing import pinned
from app.core.settings import WebhookSettings
from app.webhooks.errors import WebhookTargetError
from app.webhooks.lease import Errand, Outcome, record_outcome, take_errands
from app.webhooks.plan import plan_deliveries
from app.webhooks.signing import signed_headers
from app.webhooks.targets import address_of, parse_target

_PARTING_S: Final = 5.0
"""So long requests that are under way may take when the service stops; what is cut off is sent again."""
_HEADERS: Final = {
    "Content-Type": "application/json",
    "User-Agent": "paper-verdicts-webhooks",
    "Accept-Encoding": "identity",
}
_log = structlog.get_logger(__name__)


def trusted(ca_file: Path | None) -> ssl.SSLContext:
    """Whom certificates may be signed by. Raises OSError and ssl.SSLError for a file that holds no certificates."""
    context = httpx.create_ssl_context(trust_env=False)
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


class Courier:
    """One a process. Every process that serves the API has one; a receiver is one's at a time."""

    def __init__(
        self,
        database: Database,
        settings: WebhookSettings,
        watch: Callable[[str], AbstractContextManager[asyncio.Future[None]]],
        settled: Callable[[], Awaitable[None]],
    ) -> None:
        """`watch` gives a future that is done at the next message about a subject.

        After `settled` no process serves what was before the newest commit.
        """
        self._database, self._settings, self._watch, self._settled = database, settings, watch, settled
        self._under_way: Final[set[asyncio.Task[None]]] = set()
        self._client: httpx.AsyncClient | None = None
        self._back: Final = asyncio.Event()
        self._over = False
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin."""
        self._client = httpx.AsyncClient(
            timeout=self._settings.timeout_s,
            follow_redirects=False,
            trust_env=False,  # a proxy would connect wherever it likes
            verify=trusted(self._settings.ca_file),
            # A connection that is kept was checked for one name, and could be taken for another at the same address.
            limits=httpx.Limits(max_keepalive_connections=0),
        )
        self._task = asyncio.create_task(self._run(), name="courier")

    async def close(self) -> None:
        """Take nothing more, and let what is under way come to its end for a moment."""
        self._over = True
        self._back.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=_PARTING_S)
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=_PARTING_S)
        for task in list(self._under_way):
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    async def _run(self) -> None:
        while not self._over:
            with self._watch("events") as changed:
                self._back.clear()
                errands = await self._due()
                if errands:  # who is told reads next what it was about, perhaps from another process
                    await self._settled()
                for errand in errands:
                    task = asyncio.create_task(self._bring(errand))
                    self._under_way.add(task)
                    task.add_done_callback(self._under_way.discard)
                if not errands and not self._over:
                    back = asyncio.create_task(self._back.wait())
                    either: set[asyncio.Future[Any]] = {changed, back}
                    await asyncio.wait(either, timeout=self._settings.poll_s, return_when="FIRST_COMPLETED")
                    back.cancel()

    async def _due(self) -> list[Errand]:
        room = self._settings.at_once - len(self._under_way)

        def take() -> list[Errand]:
            with self._database.unit_of_work() as session:
                plan_deliveries(session)
            if room <= 0:
                return []
            with self._database.unit_of_work() as session:
                return take_errands(session, self._settings, room)

        try:
            return await to_thread.run_sync(take)
        except Exception as error:  # noqa: BLE001  # the database may be away; whatever it is, it is tried again
            _log.warning("webhooks_unread", error=type(error).__name__)
            return []

    async def _bring(self, errand: Errand) -> None:
        at, began = datetime.now(UTC), monotonic()
        status, error = await self._attempt(errand, at)
        outcome = Outcome(at, round(1000 * (monotonic() - began)), status, error)

        def write() -> None:
            with self._database.unit_of_work() as session:
                record_outcome(session, errand, outcome, self._settings)

        try:
            await to_thread.run_sync(write)
        except Exception as failure:  # noqa: BLE001  # the lease runs out, and the attempt is made again
            _log.warning("webhook_outcome_unwritten", error=type(failure).__name__)
        _log.info("webhook_attempted", webhook_id=str(errand.webhook_id), status=status, error=error)
        self._back.set()

    async def _attempt(self, errand: Errand, at: datetime) -> tuple[int | None, str | None]:
        """The status that the receiver answered with, and in a word why the attempt failed, if it did."""
        if errand.body is None:
            return None, "forgotten"
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                status = await self._post(errand, errand.body, at)
        except WebhookTargetError:
            return None, "target_refused"
        except (TimeoutError, httpx.TimeoutException):
            return None, "timeout"
        except (httpx.HTTPError, OSError, ValueError) as error:
            _log.info("webhook_failed", webhook_id=str(errand.webhook_id), reason=str(error))
            return None, "unreachable"
        return status, None if httpx.codes.is_success(status) else f"status_{status}"

    async def _post(self, errand: Errand, body: str, at: datetime) -> int:
        assert self._client is not None  # noqa: S101  # open
        url = parse_target(errand.url, self._settings)
        # Looked up and checked anew for each attempt: what a name means may have changed since it was registered.
        address = await to_thread.run_sync(address_of, url, self._settings, abandon_on_cancel=True)
        target, host, extensions = pinned(url, address)
        headers = {**_HEADERS, **host, **signed_headers(errand.position, at, body, errand.secrets)}
        send = self._client.stream("POST", target, content=body.encode(), headers=headers, extensions=extensions)
        async with send as response:
            return response.status_code  # nobody needs what else it says: not a byte of it is read
