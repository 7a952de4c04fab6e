"""Papers of this machine's database."""

from app.cli.local.base import Local
from app.papers.ids import PaperRef
from app.papers.queries import PaperFilter, list_papers, read_document


class LocalPapers(Local):
    """As `app.cli.source.Papers`."""

    def papers(self, q: str | None, limit: int) -> str:
        """A page of papers."""
        with self.session() as session:
            return list_papers(session, PaperFilter(q=q), limit, None).model_dump_json()

    def paper(self, paper: str) -> str:
        """A paper document."""
        with self.session() as session:
            return read_document(session, PaperRef.parse(paper))[0].decode()
