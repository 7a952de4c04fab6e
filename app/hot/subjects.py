"""Which addresses are hot, and what each of them is about: the word by which a change of it is announced."""

import re
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from app.protocol.paper_ids import ID_PATTERN, VERSION_PATTERN

_PAPER: Final = re.compile(
    rf"/v1/papers/({ID_PATTERN})(?:{VERSION_PATTERN})?(/verdicts|/badge\.(?:json|svg))?", re.ASCII
)
_RUN: Final = re.compile(r"/v1/reproductions/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.ASCII)
PLACES: Final = ("/v1/papers/", "/v1/reproductions/")
"""Where all of them are."""
PAPER_ROUTE: Final = "/v1/papers/{paper_id}"
RUN_ROUTE: Final = "/v1/reproductions/{reproduction_id}"


@dataclass(frozen=True, slots=True)
class Subject:
    """What an address is about."""

    name: str
    """As the triggers of the database announce it (migration 0002)."""
    route: str
    run: UUID | None = None
    document: str | None = None
    """The id of the paper whose present document is at this address."""


def subject_of(path: str) -> Subject | None:
    """The subject of a hot address in its usual spelling; None for any other address."""
    if match := _PAPER.fullmatch(path):
        arxiv_id, version, below = match.groups()
        document = arxiv_id if version is below is None else None
        return Subject(f"paper:{arxiv_id}", PAPER_ROUTE + (below or ""), document=document)
    if match := _RUN.fullmatch(path):
        return Subject(f"run:{match[1]}", RUN_ROUTE, UUID(match[1]))
    return None
