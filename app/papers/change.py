"""Change some of a paper's metadata: withdraw it, choose its headline claim, give a draft its arXiv id."""

from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.models import Claim, Paper, PaperAlias
from app.papers.errors import PaperChangeError, PaperExistsError
from app.papers.ids import PaperRef
from app.papers.recorded import recorded
from app.papers.register import refuse_alias
from app.papers.schemas import PaperPatch

_NEVER_NULL = ("arxiv_id", "title", "abstract", "withdrawn", "headline_claim")


def change_paper(session: Session, paper: Paper, patch: PaperPatch) -> None:
    """Apply the patch to the locked paper and rewrite its document.

    Raises PaperChangeError or PaperExistsError; nothing is changed then.
    """
    changes = patch.model_dump(exclude_unset=True)
    for name in _NEVER_NULL:
        if name in changes and changes[name] is None:
            detail = f"{name} cannot be null; leave it out to keep it."
            raise PaperChangeError(detail)
    with recorded(session, paper):
        if (arxiv_id := changes.pop("arxiv_id", None)) is not None:
            _give_arxiv_id(session, paper, PaperRef.parse(arxiv_id, field="body.arxiv_id"))
        if (claim_id := changes.pop("headline_claim", None)) is not None:
            _choose_headline(session, paper, claim_id)
        for name, value in changes.items():
            setattr(paper, name, value)


def _choose_headline(session: Session, paper: Paper, claim_id: UUID) -> None:
    claim = session.get(Claim, claim_id)
    if claim is None or claim.paper_id != paper.id:
        detail = f"{claim_id} is no claim of {paper.arxiv_id}; GET /v1/papers/{paper.arxiv_id}/claims lists them."
        raise PaperChangeError(detail)
    paper.headline_claim_id = claim.id


def _give_arxiv_id(session: Session, paper: Paper, ref: PaperRef) -> None:
    """Turn a draft into the arXiv paper it became. Its former id stays as an alias."""
    if ref.arxiv_id == paper.arxiv_id and ref.version is None:
        return
    if not PaperRef(paper.arxiv_id).is_draft or ref.is_draft or ref.version is not None:
        detail = "Only a draft changes its id, once, to an arXiv id without `vN`."
        raise PaperChangeError(detail)
    refuse_alias(session, ref.arxiv_id)
    try:
        with session.begin_nested():
            session.add(PaperAlias(alias=paper.arxiv_id, paper_id=paper.id))
            paper.arxiv_id = ref.arxiv_id
    except IntegrityError as error:  # the id is unique; who takes it at the same moment is only seen here
        detail = f"{ref.arxiv_id} is registered already, as a paper of its own."
        raise PaperExistsError(detail) from error
