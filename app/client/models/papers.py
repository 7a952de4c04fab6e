"""Papers, as the service shows them."""

from datetime import datetime
from uuid import UUID

from app.client.problems import Answered, Problem


class Paper(Answered):
    """A paper's metadata."""

    arxiv_id: str
    title: str
    abstract: str
    primary_category: str | None
    venue: str | None
    published_at: datetime | None
    latest_version: int
    withdrawn: bool


class PaperVersion(Answered):
    """One version of a paper."""

    id: UUID
    version: int
    source_url: str | None
    rendered_html_url: str | None
    rendering_engine: str | None


class ClaimCitation(Answered):
    """The claim as a verdict cites it."""

    paper_arxiv_id: str
    section: str
    row: str
    column: str
    reported_value: float
    reported_metric: str
    quoted_text: str
    pdf_page: int | None
    notes: str | None


class DocumentVerdict(Answered):
    """A verdict as the paper document shows it. `status` is reproduced, not_reproduced or inconclusive."""

    id: UUID
    kind: str
    status: str
    score: float
    confidence: float
    agent_version: str
    computed_at: datetime
    is_current: bool
    claim_citation: ClaimCitation
    protocol_match: str


class DocumentVerdicts(Answered):
    """The headline claim's verdict of each kind."""

    post: DocumentVerdict | None
    pre: DocumentVerdict | None


class PaperDocument(Answered):
    """A paper with its verdicts as they stand."""

    paper: Paper
    latest_version: PaperVersion
    verdict: DocumentVerdict | None
    verdicts: DocumentVerdicts


class PaperSummary(Answered):
    """A paper in a list."""

    arxiv_id: str
    title: str
    primary_category: str | None
    venue: str | None
    published_at: datetime | None
    withdrawn: bool
    status: str | None
    newest_verdict_at: datetime | None


class BatchItem(Answered):
    """One of the papers that were asked for at once: its document, or why there is none."""

    id: str
    etag: str | None
    document: PaperDocument | None
    problem: Problem | None


class Batch(Answered):
    """Papers in the order asked for."""

    items: list[BatchItem]


class DocumentImported(Answered):
    """What a paper document brought: so many verdicts, some of which were known already."""

    arxiv_id: str
    verdicts: int
    known: int
