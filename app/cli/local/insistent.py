"""Reading from a database that may be away for a while, as when everything is started again."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self, TypeVar

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.cli.failures import CommandError
from app.cli.service_failures import reason_of
from app.cli.source import Watch
from app.core.db import Database
from app.core.settings import Settings

T = TypeVar("T")
_PAUSE_S: Final = 1.0


class Insistent:
    """Reads through outages, where the database has answered before; close it, or use it as a context."""

    def __init__(self, find: Callable[[], Settings], watch: Watch, *, patient: bool) -> None:
        """`patient`: it is known to have answered."""
        self._find, self._watch, self._patient = find, watch, patient
        self._database: Database | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def read(self, what: Callable[[Session], T]) -> T:
        """What is read, once there is an answer. Raises what kept it away, where that lasts too long."""
        until: float | None = None
        while True:
            try:
                found = self._once(what)
            except (OperationalError, CommandError) as error:
                self._close()
                now = time.monotonic()
                until = now + self._watch.patience_s if until is None else until
                if not self._patient or now >= until:
                    raise
                reason = reason_of(error) if isinstance(error, OperationalError) else str(error)
                self._watch.told(f"{reason}; waiting for it, {until - now:.0f} s at most")
                time.sleep(min(_PAUSE_S, until - now))
            else:
                if until is not None:
                    self._watch.told(None)
                self._patient = True
                return found

    def _once(self, what: Callable[[Session], T]) -> T:
        if self._database is None:
            self._database = Database(self._find().database_url or "", pool_size=1)
        with self._database.unit_of_work() as session:
            return what(session)

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
