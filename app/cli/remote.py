"""A service anywhere, over HTTP."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Self
from uuid import UUID

from app.cli.failures import CommandError
from app.cli.source import Watch
from app.client import Client, ClientError, Outage, Retries
from app.client import calls as api
from app.client.calls import Call
from app.client.models import Reproduction
from app.statistics.written import Notation

_MOST: Final = 2
"""Repetitions: who mistyped an address hears of it soon."""


class Remote:
    """Answers from the service at an address, as all of `app.cli.source`. A context: its connections close with it."""

    def __init__(self, server: str, key: str | None) -> None:
        self._server, self._key = server, key
        self._client = Client(server, key, retries=Retries(most=_MOST))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def papers(self, q: str | None, limit: int) -> str:
        """A page of papers."""
        return self._text(api.papers(q).page(limit, None))

    def paper(self, paper: str) -> str:
        """A paper document."""
        return self._text(api.paper(paper))

    def whole_verdict(self, verdict_id: UUID) -> str:
        """A verdict with its decision."""
        return self._text(api.verdict(verdict_id))

    def claims(self, paper: str, limit: int) -> str:
        """A page of a paper's claims."""
        return self._text(api.claims(paper).page(limit, None))

    def import_claims(self, paper: str, content: bytes, media: str, options: Mapping[str, Any]) -> str:
        """Register the claims of a file; what it brought."""
        return self._text(api.import_claims(paper, content, media, **options))

    def drivers(self) -> str:
        """A page of drivers."""
        return self._text(api.drivers().page(200, None))

    def load_drivers(self) -> None:
        """Raises CommandError: a service loads its own."""
        raise CommandError("--load reads the catalogue of the machine that the service runs on; run it there")

    def audit(self, subject: str | None, limit: int, cursor: str | None) -> str:
        """A page of the audit log."""
        return self._text(api.audit(subject).page(limit, cursor))

    def register_webhook(self, url: str, events: Sequence[str]) -> str:
        """Register a webhook; it, with its secret."""
        return self._text(api.register_webhook(url, events))

    def webhooks(self, limit: int) -> str:
        """A page of webhooks."""
        return self._text(api.webhooks().page(limit, None))

    def remove_webhook(self, webhook_id: UUID) -> str:
        """Remove a webhook; it, as it was last."""
        return self._text(api.remove_webhook(webhook_id))

    def import_document(self, text: str) -> str:
        """Bring in a paper document with its verdicts; what it brought."""
        return self._text(api.import_document(text))

    def import_from_arxiv(self, arxiv_id: str) -> str:
        """Have the service fetch a paper from arXiv; its document."""
        return self._text(api.import_paper(arxiv_id))

    def runs(self, paper: str | None, state: str | None, limit: int) -> str:
        """A page of runs."""
        return self._text(api.reproductions(paper=paper, state=state).page(limit, None))

    def cancel(self, run_id: UUID) -> str:
        """Cancel a run; the run as it is then."""
        return self._text(api.cancel(run_id))

    def ask(self, paper: str, wanted: Mapping[str, Any]) -> tuple[str, bool]:
        """Ask for a run. Whether it was in flight already is not said over HTTP."""
        return self._text(api.request_reproduction(paper, wanted, None)), False

    def notation(self, claim_id: UUID) -> Notation:
        """How the numbers of a claim are written."""
        with suppress(ClientError), Client(self._server, self._key, retries=Retries(most=0)) as client:
            return Notation.of(client.claim(claim_id))
        return Notation()

    def updates(self, run_id: UUID, watch: Watch) -> Iterator[Reproduction]:
        """The run whenever it has changed, until it has ended."""
        with self._patient(watch) as client:
            yield from client.updates(run_id, on_outage=_telling(watch))

    def verdict(self, verdict_id: UUID, run_id: UUID, watch: Watch) -> str:
        """The verdict of a run."""
        with self._patient(watch) as client:
            return client.patient_text(api.verdict(verdict_id), run_id, on_outage=_telling(watch))

    def _patient(self, watch: Watch) -> Client:
        return Client(self._server, self._key, retries=Retries(most=_MOST, outage_s=watch.patience_s))

    def _text(self, call: Call[Any]) -> str:
        return self._client.text(call)


def _telling(watch: Watch) -> Callable[[Outage | None], object]:
    def tell(outage: Outage | None) -> None:
        watch.told(f"{outage.reason}; waiting for it, {outage.left_s:.0f} s at most" if outage else None)

    return tell
