"""Papers and claims."""

from typing import Any, Final

from sqlalchemy.orm import Session

from app.claims.register import register_claim
from app.claims.schemas import ClaimPost
from app.models import Claim, Paper
from app.papers.find import find_version
from app.papers.ids import PaperRef
from app.papers.register import register_paper
from app.papers.schemas import PaperPut

ARXIV_ID: Final = "2101.00001"


def paper_put(**metadata: Any) -> PaperPut:  # noqa: ANN401  # fields of the schema, which checks them
    """Metadata of a paper."""
    return PaperPut.model_validate({"title": "A title", "abstract": "An abstract.", **metadata})


def make_paper(session: Session, arxiv_id: str = ARXIV_ID, **metadata: Any) -> Paper:  # noqa: ANN401  # as above
    """A paper with its version 1; locked."""
    return register_paper(session, PaperRef.parse(arxiv_id), paper_put(**metadata))[0]


def claim_fields(**changes: Any) -> dict[str, Any]:  # noqa: ANN401  # as above
    """The fields of a claim as they are posted."""
    return {
        "section": "Table 1",
        "row": "A model",
        "column": "Accuracy",
        "reported_value": "75.0",
        "unit": "percent",
        "quoted_text": "A model 75.0",
        **changes,
    }


def make_claim(session: Session, paper: Paper, **changes: Any) -> Claim:  # noqa: ANN401  # as above
    """A claim of the locked paper, in its latest version."""
    post = ClaimPost.model_validate(claim_fields(**changes))
    return register_claim(session, paper, find_version(session, paper, None), post)
