"""Runs of this machine's database."""

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy.exc import OperationalError

from app.claims.queries import read_claim
from app.cli.failures import WRONG_USAGE, CommandError
from app.cli.local.base import Local
from app.cli.local.insistent import Insistent
from app.cli.source import Watch
from app.cli.whereabouts import running_service
from app.client import Client, ClientError, Retries
from app.client.models import Reproduction
from app.core.queue import REQUEST_PATIENCE_S, Doorbell, make_celery
from app.core.wrong_values import said_of
from app.models import ReproductionState
from app.papers.ids import PaperRef
from app.reproductions.cancel import cancel_reproduction
from app.reproductions.queries import ReproductionFilter, list_reproductions, read_reproduction
from app.reproductions.request import request_reproduction
from app.reproductions.schemas import ReproductionPost
from app.statistics.written import Notation
from app.verdicts.queries import read_verdict

_POLL_S: Final = 0.2
_API_S: Final = 5.0
"""So long an API that hangs is waited for."""


def _post_of(wanted: Mapping[str, Any]) -> ReproductionPost:
    try:
        return ReproductionPost.model_validate(wanted)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise CommandError(f"{first['loc'][0]}: {said_of(first)}", WRONG_USAGE) from error


class LocalRuns(Local):
    """As `app.cli.source.Runs`."""

    def runs(self, paper: str | None, state: str | None, limit: int) -> str:
        """A page of runs."""
        of_paper, of_state = PaperRef.parse(paper) if paper else None, ReproductionState(state) if state else None
        wanted = ReproductionFilter(paper=of_paper, state=of_state)
        with self.session() as session:
            return list_reproductions(session, wanted, limit, None).model_dump_json()

    def cancel(self, run_id: UUID) -> str:
        """Cancel a run; the run as it is then."""
        with self.session() as session:
            cancel_reproduction(session, run_id)
            session.flush()
            return read_reproduction(session, run_id).model_dump_json()

    def ask(self, paper: str, wanted: Mapping[str, Any]) -> tuple[str, bool]:
        """Queue a run, or join the same one in flight."""
        ref, post = PaperRef.parse(paper), _post_of(wanted)
        doorbell = Doorbell(make_celery(self.settings.redis_url or "", patience_s=REQUEST_PATIENCE_S))
        try:
            with self.session() as session:
                run_id, new = request_reproduction(session, ref, post, self.settings.queue, doorbell)
                session.flush()
                return read_reproduction(session, run_id).model_dump_json(), not new
        finally:
            doorbell.close()

    def notation(self, claim_id: UUID) -> Notation:
        """How the numbers of a claim are written."""
        with suppress(OperationalError, CommandError), self.session() as session:
            return Notation.of(read_claim(session, claim_id))
        return Notation()

    def updates(self, run_id: UUID, watch: Watch) -> Iterator[Reproduction]:
        """The run whenever it has changed: by the events of the API that runs here; looked at, where there are none."""
        last = None
        for last in self._told(run_id):
            yield last
        if last is None or not last.done:
            yield from self._looked_at(run_id, last, watch)

    def verdict(self, verdict_id: UUID, run_id: UUID, watch: Watch) -> str:
        """The verdict of a run."""
        del run_id
        with Insistent(self.find, watch, patient=True) as database:
            return database.read(lambda session: read_verdict(session, verdict_id).model_dump_json())

    def _told(self, run_id: UUID) -> Iterator[Reproduction]:
        url = running_service(self.settings.data_dir)
        if url is None:
            return
        # The database is at hand: what keeps the API from telling is not waited for.
        with Client(url, timeout_s=_API_S, retries=Retries(most=0, outage_s=0)) as client, suppress(ClientError):
            yield from client.updates(run_id)

    def _looked_at(self, run_id: UUID, last: Reproduction | None, watch: Watch) -> Iterator[Reproduction]:
        with Insistent(self.find, watch, patient=last is not None) as database:
            while True:
                text = database.read(lambda session: read_reproduction(session, run_id).model_dump_json())
                run = Reproduction.model_validate_json(text)
                if run != last:
                    yield run
                if run.done:
                    return
                last = run
                time.sleep(_POLL_S)
