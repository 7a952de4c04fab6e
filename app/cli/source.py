"""Where a command gets its answers: the database of this machine, or a service anywhere. Both give the API's JSON."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias, TypeVar
from uuid import UUID

import app.cli.client_failures  # noqa: F401  # who asks a service, or follows a run, may meet the client's errors
from app.cli.advice import remember
from app.cli.failures import CommandError
from app.cli.lazy import Lazy
from app.client.models import Reproduction
from app.statistics.written import Notation

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Watch:
    """How a run is followed: so many seconds without an answer are put up with."""

    patience_s: float
    told: Callable[[str | None], object]
    """Hears in words why nothing is seen at the moment; None once something is seen again."""


class Papers(Protocol):
    """What is asked of papers. Texts are JSON as the API gives it, here and below."""

    def papers(self, q: str | None, limit: int) -> str:
        """A page of papers."""

    def paper(self, paper: str) -> str:
        """A paper document."""


class Verdicts(Protocol):
    """What is asked of verdicts."""

    def whole_verdict(self, verdict_id: UUID) -> str:
        """A verdict with its decision, which the document of its paper leaves out."""


class Claims(Protocol):
    """What is asked of claims."""

    def claims(self, paper: str, limit: int) -> str:
        """A page of a paper's claims."""

    def import_claims(self, paper: str, content: bytes, media: str, options: Mapping[str, Any]) -> str:
        """Register the claims of a file; what it brought. `options`: force, unit, metric."""


class Drivers(Protocol):
    """What is asked of drivers."""

    def drivers(self) -> str:
        """A page of drivers."""

    def load_drivers(self) -> None:
        """Load the catalogue."""


class Log(Protocol):
    """What is asked of the audit log."""

    def audit(self, subject: str | None, limit: int, cursor: str | None) -> str:
        """A page of the audit log."""


class Imports(Protocol):
    """How papers are brought in."""

    def import_document(self, text: str) -> str:
        """Bring in a paper document with its verdicts; what it brought."""

    def import_from_arxiv(self, arxiv_id: str) -> str:
        """Bring in a paper's metadata from arXiv; its document."""


class Runs(Protocol):
    """What is asked of runs."""

    def runs(self, paper: str | None, state: str | None, limit: int) -> str:
        """A page of runs."""

    def cancel(self, run_id: UUID) -> str:
        """Cancel a run; the run as it is then."""

    def ask(self, paper: str, wanted: Mapping[str, Any]) -> tuple[str, bool]:
        """Ask for a run; the run, and whether it is known to have been in flight already."""

    def notation(self, claim_id: UUID) -> Notation:
        """How the numbers of a claim are written; in per cent, where that cannot be asked just now."""

    def updates(self, run_id: UUID, watch: Watch) -> Iterator[Reproduction]:
        """The run whenever it has changed, until it has ended."""

    def verdict(self, verdict_id: UUID, run_id: UUID, watch: Watch) -> str:
        """The verdict of a run that has ended."""


class Webhooks(Protocol):
    """What is asked of webhooks."""

    def register_webhook(self, url: str, events: Sequence[str]) -> str:
        """Register a webhook, of all events where none is named; it, with its secret."""

    def webhooks(self, limit: int) -> str:
        """A page of webhooks."""

    def remove_webhook(self, webhook_id: UUID) -> str:
        """Remove a webhook; it, as it was last."""


Local: TypeAlias = Callable[[Path | None], T]
"""Makes what answers from the database that is found by the data folder, or by the environment."""
PAPERS: Final[Lazy[Local[Papers]]] = Lazy("local.papers", "LocalPapers")
VERDICTS: Final[Lazy[Local[Verdicts]]] = Lazy("local.verdicts", "LocalVerdicts")
CLAIMS: Final[Lazy[Local[Claims]]] = Lazy("local.claims", "LocalClaims")
DRIVERS: Final[Lazy[Local[Drivers]]] = Lazy("local.drivers", "LocalDrivers")
LOG: Final[Lazy[Local[Log]]] = Lazy("local.audit", "LocalLog")
IMPORTS: Final[Lazy[Local[Imports]]] = Lazy("local.imports", "LocalImports")
RUNS: Final[Lazy[Local[Runs]]] = Lazy("local.runs", "LocalRuns")
WEBHOOKS: Final[Lazy[Local[Webhooks]]] = Lazy("local.webhooks", "LocalWebhooks")
LOCAL: Final[tuple[Lazy[Any], ...]] = (PAPERS, VERDICTS, CLAIMS, DRIVERS, LOG, IMPORTS, RUNS, WEBHOOKS)
_CONNECTED: Final[Lazy[Callable[[Path | None], object]]] = Lazy("connection", "connected")
_REMOTE: Final[Lazy[Callable[[str, str | None], AbstractContextManager[Any]]]] = Lazy("remote", "Remote")


@contextmanager
def source_of(local: Lazy[Local[T]], server: str | None, key: str | None, data_dir: Path | None) -> Iterator[T]:
    """The service that is named, else the database. Raises CommandError where both are, or neither is to be found."""
    remember(server, data_dir)
    if server is None:
        _CONNECTED.load()(data_dir)  # where nothing runs, that is said before a second goes by on what would answer
        yield local.load()(data_dir)
        return
    if data_dir is not None:
        raise CommandError("name a service (--server or VERDICTS_SERVER) or a data folder (--data-dir), not both")
    try:
        remote = _REMOTE.load()(server, key)
    except ValueError as error:
        raise CommandError(str(error)) from error
    with remote as answering:
        yield answering
