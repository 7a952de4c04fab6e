"""A service anywhere, over HTTP."""

from collections.abc import Iterator
from typing import Any, Final, Self
from uuid import UUID

from app.cli.failures import CommandError
from app.client import Client, Retries
from app.client import calls as api
from app.client.calls import Call
from app.client.models import PaperDocument, Reproduction
from app.reproductions.schemas import ReproductionPost

_QUICK: Final = Retries(most=2)
"""Who mistyped an address hears of it soon."""
_PATIENT: Final = Retries(most=8)
"""Whoever follows a run outlives a restart of the service."""


class Remote:
    """Answers from the service at an address. A context: its connections close with it."""

    def __init__(self, server: str, key: str | None) -> None:
        self._client = Client(server, key, retries=_QUICK)
        self._follower = Client(server, key, retries=_PATIENT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._follower.close()

    def papers(self, q: str | None, limit: int) -> str:
        """A page of papers."""
        return self._text(api.papers(q).page(limit, None))

    def paper(self, paper: str) -> str:
        """A paper document."""
        return self._text(api.paper(paper))

    def claims(self, paper: str, limit: int) -> str:
        """A page of a paper's claims."""
        return self._text(api.claims(paper).page(limit, None))

    def drivers(self) -> str:
        """A page of drivers."""
        return self._text(api.drivers().page(200, None))

    def load_drivers(self) -> None:
        """Raises CommandError: a service loads its own."""
        raise CommandError("--load reads the catalogue of the machine that the service runs on; run it there")

    def audit(self, subject: str | None, limit: int, cursor: str | None) -> str:
        """A page of the audit log."""
        return self._text(api.audit(subject).page(limit, cursor))

    def import_(self, what: str) -> tuple[str, str]:
        """Have the service fetch a paper from arXiv."""
        text = self._text(api.import_paper(what))
        paper = PaperDocument.model_validate_json(text).paper
        return text, f"{paper.arxiv_id}: {paper.title}"

    def ask(self, paper: str, post: ReproductionPost) -> tuple[str, bool]:
        """Ask for a run. Whether it was in flight already is not said over HTTP."""
        return self._text(api.request_reproduction(paper, post.model_dump(mode="json"), None)), False

    def updates(self, run_id: UUID) -> Iterator[Reproduction]:
        """The run whenever it has changed, until it has ended."""
        return self._follower.updates(run_id)

    def verdict(self, verdict_id: UUID) -> str:
        """A verdict."""
        return self._text(api.verdict(verdict_id))

    def _text(self, call: Call[Any]) -> str:
        return self._client.text(call)
