"""A reader that looks at everything over and over, each time in one snapshot, and writes down what must never be."""

import threading
from collections.abc import Mapping
from time import monotonic
from types import TracebackType
from typing import Final, Self
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from app.core.db import Database
from app.papers.schemas import PaperDocumentRead

_SNAPSHOT: Final = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
_LINES: Final = text(
    "SELECT claim_id, kind, count(*), count(*) FILTER (WHERE is_current), max(sequence), "
    "max(sequence) FILTER (WHERE is_current) FROM verdicts GROUP BY claim_id, kind"
)
_RUNS: Final = text(
    "SELECT r.id, r.state, r.fence, count(v.id) FROM reproductions r LEFT JOIN verdicts v ON v.reproduction_id = r.id "
    "GROUP BY r.id"
)
_DOCUMENTS: Final = text(
    "SELECT p.id, d.body, (SELECT v.id FROM verdicts v WHERE v.claim_id = p.headline_claim_id AND v.kind = 'POST' "
    "AND v.is_current LIMIT 1), (SELECT v.id FROM verdicts v WHERE v.claim_id = p.headline_claim_id AND v.kind = 'PRE' "
    "AND v.is_current LIMIT 1) FROM papers p JOIN paper_documents d ON d.paper_id = p.id"
)
_DONE: Final = {"succeeded", "failed", "cancelled", "expired"}


class Watch:
    """Looks from `__enter__` to `__exit__`, in a thread of its own, through restarts of the database."""

    def __init__(self, url: str, pause_s: float = 0.05) -> None:
        self._database = Database(url, pool_size=1)
        self._pause_s = pause_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._looking = threading.Lock()
        self._runs: dict[UUID, tuple[str, int]] = {}
        self._lengths: dict[tuple[UUID, str], int] = {}
        self._waiting: dict[UUID, tuple[int, float]] = {}
        self.looks = 0
        self.wrong: list[tuple[object, ...]] = []
        self._trails: dict[UUID, list[tuple[float, str, int]]] = {}
        self.slowest: list[tuple[float, str, int]] = []
        """What the slowest recovery was made of: seconds since the kill, state and fence, at each change."""
        self.recoveries: list[float] = []
        """Seconds from the kill of a run's worker until the run was under way again, or had ended."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._database.close()

    def states(self) -> Mapping[UUID, str]:
        """The state of each run when last looked at."""
        with self._looking:
            return {run_id: state for run_id, (state, _) in self._runs.items()}

    def killed(self, run_id: UUID, fence: int) -> None:
        """The worker of this attempt has just been killed."""
        with self._looking:
            self._waiting[run_id] = (fence, monotonic())
            self._trails[run_id] = []

    def unrecovered(self) -> int:
        """How many runs still wait for another attempt after their worker was killed."""
        with self._looking:
            return len(self._waiting)

    def look_once_more(self) -> None:
        """Look now. Raises what ended the thread that should be looking."""
        assert self._thread.is_alive()
        self._look()

    def _run(self) -> None:
        while not self._stop.wait(self._pause_s):
            try:
                self._look()
            except SQLAlchemyError:
                continue  # the database is being restarted

    def _look(self) -> None:
        with self._looking, self._database.engine.connect() as connection:
            connection.execute(_SNAPSHOT)
            self._look_at_lines(connection)
            self._look_at_runs(connection)
            self._look_at_documents(connection)
            self.looks += 1

    def _look_at_lines(self, connection: Connection) -> None:
        for claim_id, kind, length, current, last, of_current in connection.execute(_LINES):
            if (current, last, of_current) != (1, length, length):
                self.wrong.append(("line", claim_id, kind, length, current, last, of_current))
            if length < self._lengths.get((claim_id, kind), 0):
                self.wrong.append(("verdicts are gone", claim_id, kind))
            self._lengths[claim_id, kind] = length

    def _look_at_runs(self, connection: Connection) -> None:
        seen = {}
        for run_id, state, fence, verdicts in connection.execute(_RUNS):
            seen[run_id] = (state, fence)
            if verdicts != (state == "succeeded"):
                self.wrong.append(("verdicts of a run", run_id, state, verdicts))
            before, fenced = self._runs.get(run_id, (state, fence))
            if (before in _DONE and state != before) or fence < fenced:
                self.wrong.append(("a run's life", run_id, before, state, fenced, fence))
            if run_id in self._waiting:
                self._follow(run_id, state, fence)
        self.wrong += [("a run is gone", run_id) for run_id in self._runs.keys() - seen.keys()]
        self._runs = seen

    def _follow(self, run_id: UUID, state: str, fence: int) -> None:
        lost, since = self._waiting[run_id]
        seconds, trail = round(monotonic() - since, 2), self._trails[run_id]
        if not trail or trail[-1][1:] != (state, fence):
            trail.append((seconds, state, fence))
        if fence > lost or state in _DONE:
            if seconds > max(self.recoveries, default=0.0):
                self.slowest = trail
            self.recoveries.append(seconds)
            del self._waiting[run_id]

    def _look_at_documents(self, connection: Connection) -> None:
        for paper_id, body, post, pre in connection.execute(_DOCUMENTS):
            shown = PaperDocumentRead.model_validate_json(bytes(body)).verdicts
            in_document = (shown.post.id if shown.post else None, shown.pre.id if shown.pre else None)
            if in_document != (post, pre):
                self.wrong.append(("document", paper_id, in_document, (post, pre)))
