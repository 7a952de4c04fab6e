"""Papers that are brought into this machine's database."""

from app.catalogue.import_document import import_document, parse_document
from app.cli.local.base import Local
from app.papers.arxiv import fetch_metadata
from app.papers.bring import bring_paper
from app.papers.ids import PaperRef
from app.papers.queries import read_document


class LocalImports(Local):
    """As `app.cli.source.Imports`."""

    def import_document(self, text: str) -> str:
        """Bring in a paper document with its verdicts; what it brought."""
        document = parse_document(text)
        with self.session() as session:
            return import_document(session, document).model_dump_json()

    def import_from_arxiv(self, arxiv_id: str) -> str:
        """Bring in a paper's metadata from arXiv; its document."""
        ref = PaperRef.parse_whole(arxiv_id)
        put = fetch_metadata(ref, self.settings.arxiv)
        with self.session() as session:
            paper, _ = bring_paper(session, ref, put)
            session.flush()
            return read_document(session, PaperRef(paper.arxiv_id))[0].decode()
