"""Claims, as the service shows them."""

from datetime import datetime
from uuid import UUID

from app.client.problems import Answered


class Claim(Answered):
    """A number that a paper reports."""

    id: UUID
    paper_arxiv_id: str
    paper_version: int
    section: str
    row: str
    column: str
    reported_value: float
    decimals: int
    unit: str
    reported_metric: str
    quoted_text: str
    pdf_page: int | None
    notes: str | None
    n_items: int | None
    is_headline: bool
    drivers: list[str]
    created_at: datetime


class ClaimImported(Answered):
    """One claim of a file, and where it stands in it. `known`: it was registered already, and stays as it is."""

    id: UUID
    place: str
    known: bool


class ClaimsImported(Answered):
    """What a file of claims brought."""

    registered: int
    known: int
    claims: list[ClaimImported]
