"""Claims of this machine's database."""

from collections.abc import Mapping
from typing import Any

from app.claims.bring import ClaimsFile, bring_claims
from app.claims.errors import ClaimsFileError
from app.claims.queries import list_claims
from app.cli.failures import REFUSED, Failure, failure_of
from app.cli.local.base import Local
from app.papers.find import find_paper, find_version
from app.papers.ids import PaperRef


class LocalClaims(Local):
    """As `app.cli.source.Claims`."""

    def claims(self, paper: str, limit: int) -> str:
        """A page of a paper's claims."""
        with self.session() as session:
            return list_claims(session, PaperRef.parse(paper), limit, None).model_dump_json()

    def import_claims(self, paper: str, content: bytes, media: str, options: Mapping[str, Any]) -> str:
        """Register the claims of a file; what it brought."""
        ref = PaperRef.parse(paper)
        file = ClaimsFile.model_validate({"content": content, "media": media, **options})
        with self.session() as session:
            found = find_paper(session, ref, lock=True)
            return bring_claims(session, found, find_version(session, found, ref.version), file).model_dump_json()


@failure_of.register
def _(error: ClaimsFileError) -> Failure:
    lines = [error.detail, *(f"{one.field.removeprefix('body.')}: {one.detail}" for one in error.errors)]
    return Failure("\n".join(lines), REFUSED)
