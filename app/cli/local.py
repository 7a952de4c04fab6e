"""The database of this machine: the same use cases as behind the API."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from uuid import UUID

from app.access.audit import list_audit
from app.catalogue.import_document import import_document, parse_document
from app.catalogue.load import load_catalogue
from app.claims.queries import list_claims
from app.cli.failures import CommandError
from app.cli.service import session_of
from app.client.models import Reproduction
from app.core.db import Database
from app.core.queue import REQUEST_PATIENCE_S, Doorbell, make_celery
from app.core.settings import Settings
from app.drivers.queries import list_drivers
from app.papers.ids import PaperRef
from app.papers.queries import PaperFilter, list_papers, read_document
from app.reproductions.queries import read_reproduction
from app.reproductions.request import request_reproduction
from app.reproductions.schemas import ReproductionPost
from app.verdicts.queries import read_verdict

_POLL_S = 0.2


class Local:
    """Answers from the database of these settings, which are looked for once they are needed."""

    def __init__(self, find: Callable[[], Settings]) -> None:
        self._find = find

    @cached_property
    def _settings(self) -> Settings:
        return self._find()

    def papers(self, q: str | None, limit: int) -> str:
        """A page of papers."""
        with session_of(self._settings) as session:
            return list_papers(session, PaperFilter(q=q), limit, None).model_dump_json()

    def paper(self, paper: str) -> str:
        """A paper document."""
        with session_of(self._settings) as session:
            return read_document(session, PaperRef.parse(paper))[0].decode()

    def claims(self, paper: str, limit: int) -> str:
        """A page of a paper's claims."""
        with session_of(self._settings) as session:
            return list_claims(session, PaperRef.parse(paper), limit, None).model_dump_json()

    def drivers(self) -> str:
        """A page of drivers."""
        with session_of(self._settings) as session:
            return list_drivers(session, 200, None).model_dump_json()

    def load_drivers(self) -> None:
        """Load the catalogue."""
        with session_of(self._settings) as session:
            load_catalogue(session, self._settings.catalogue_dir)

    def audit(self, subject: str | None, limit: int, cursor: str | None) -> str:
        """A page of the audit log."""
        with session_of(self._settings) as session:
            return list_audit(session, limit, cursor, subject).model_dump_json()

    def import_(self, what: str) -> tuple[str, str]:
        """Import a paper document from a file, or from standard input where it is named `-`."""
        try:
            text = sys.stdin.read() if what == "-" else Path(what).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError, ValueError) as error:
            raise CommandError(f"{what} cannot be read: {error}") from error
        document = parse_document(text)
        with session_of(self._settings) as session:
            done = import_document(session, document)
        facts = {"arxiv_id": done.arxiv_id, "verdicts": done.verdicts, "known": done.known}
        words = f"{done.arxiv_id}: {done.verdicts} verdicts, {done.known} of them known already"
        return json.dumps(facts, ensure_ascii=False, separators=(",", ":")), words

    def ask(self, paper: str, post: ReproductionPost) -> tuple[str, bool]:
        """Queue a run, or join the same one in flight."""
        doorbell = Doorbell(make_celery(self._settings.redis_url or "", patience_s=REQUEST_PATIENCE_S))
        try:
            with session_of(self._settings) as session:
                ref = PaperRef.parse(paper)
                run_id, new = request_reproduction(session, ref, post, self._settings.queue, doorbell)
                session.flush()
                return read_reproduction(session, run_id).model_dump_json(), not new
        finally:
            doorbell.close()

    def updates(self, run_id: UUID) -> Iterator[Reproduction]:
        """The run, looked at again and again until it has ended."""
        database = Database(self._settings.database_url or "", pool_size=1)
        try:
            while True:
                with database.unit_of_work() as session:
                    run = read_reproduction(session, run_id)
                yield Reproduction.model_validate_json(run.model_dump_json())
                if run.done:
                    return
                time.sleep(_POLL_S)
        finally:
            database.close()

    def verdict(self, verdict_id: UUID) -> str:
        """A verdict."""
        with session_of(self._settings) as session:
            return read_verdict(session, verdict_id).model_dump_json()
