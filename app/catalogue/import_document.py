"""Import a paper document: ids and times are kept, and its verdicts become the current ones of their lines."""

import json
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.catalogue.errors import CatalogueError
from app.catalogue.files import PaperId
from app.claims.register import find_claim, register_claim
from app.claims.schemas import ClaimPost
from app.models import Claim, Paper, PaperVersion, Verdict, VerdictKind, VerdictOrigin
from app.papers.add_version import add_version
from app.papers.document import document_verdict, write_document
from app.papers.errors import PaperNotFoundError
from app.papers.find import find_paper, find_version
from app.papers.ids import PaperRef
from app.papers.register import register_paper
from app.papers.schemas import DocumentVerdict, Line, PaperPut, Printed, Text, VersionPost, VersionRead
from app.verdicts.errors import ImportConflictError, SupersededImportError
from app.verdicts.issue import NewVerdict, current_verdict, issue
from app.verdicts.schemas import AgentVersion

Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Paper(PaperPut):
    arxiv_id: PaperId
    latest_version: Annotated[int, Field(ge=1, le=10_000)]


class _Version(VersionRead):
    model_config = ConfigDict(extra="forbid")


class _Citation(_In):
    paper_arxiv_id: str
    section: Line
    row: Line
    column: Line
    reported_value: Printed
    reported_metric: str
    quoted_text: Text
    pdf_page: Annotated[int, Field(ge=1)] | None
    notes: Text | None


class _Verdict(DocumentVerdict):
    model_config = ConfigDict(extra="forbid")

    score: Probability
    confidence: Probability
    agent_version: AgentVersion
    is_current: Literal[True]
    claim_citation: _Citation  # type: ignore[assignment]  # read more strictly than it is served


class _Verdicts(_In):
    post: _Verdict | None
    pre: _Verdict | None


class DocumentFile(_In):
    """A paper document, read strictly."""

    paper: _Paper
    latest_version: _Version
    verdict: _Verdict | None
    verdicts: _Verdicts

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        post, pre = self.verdicts.post, self.verdicts.pre
        cited = [v.claim_citation for v in (post, pre) if v]
        checks = {
            "verdict has to be verdicts.post, else verdicts.pre": self.verdict == (post or pre),
            "verdicts.post has to be of kind POST": post is None or post.kind is VerdictKind.POST,
            "verdicts.pre has to be of kind PRE": pre is None or pre.kind is VerdictKind.PRE,
            "the versions have to agree": self.paper.latest_version == self.latest_version.version,
            "every citation has to name the paper": all(c.paper_arxiv_id == self.paper.arxiv_id for c in cited),
        }
        for rule, holds in checks.items():
            if not holds:
                raise ValueError(rule)
        return self


class DocumentImported(BaseModel):
    """What a paper document brought."""

    arxiv_id: str
    verdicts: int
    known: int = Field(description="So many of the verdicts were known already.")


def parse_document(text: str) -> DocumentFile:
    """Read a paper document. Numbers keep their printed digits. Raises CatalogueError."""
    try:
        return DocumentFile.model_validate(json.loads(text, parse_float=_float_as_printed, parse_constant=_no_constant))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "document"
        raise CatalogueError(f"{where}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise CatalogueError(f"not a JSON document: {error}") from error


class _PrintedFloat(float):
    """A number that remembers how it was printed."""

    text: str

    def __str__(self) -> str:
        return self.text


def _float_as_printed(text: str) -> float:
    number = _PrintedFloat(text)
    number.text = text
    return number


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def import_document(session: Session, file: DocumentFile) -> DocumentImported:
    """Bring in the paper, its version, claims and verdicts, with their ids and times. Doing so twice is fine.

    Raises ImportConflictError where something else is stored under the same id, SupersededImportError where a newer
    verdict stands; nothing is written then.
    """
    ref = PaperRef(file.paper.arxiv_id)
    _refuse_taken_version(session, ref, file.latest_version)
    paper = _paper(session, ref, file)
    version = _version(session, paper, file.latest_version)
    known = 0
    found = [verdict for verdict in (file.verdicts.post, file.verdicts.pre) if verdict is not None]
    for verdict in found:
        known += _verdict(session, paper, version, verdict)
    write_document(session, paper)
    return DocumentImported(arxiv_id=paper.arxiv_id, verdicts=len(found), known=known)


def _paper(session: Session, ref: PaperRef, file: DocumentFile) -> Paper:
    put = PaperPut.model_validate(file.paper.model_dump(exclude={"arxiv_id", "latest_version"}))
    try:
        find_paper(session, ref, lock=True)
    except PaperNotFoundError:
        is_first = file.latest_version.version == 1
        first = _post(file.latest_version) if is_first else VersionPost()
        version_id = file.latest_version.id if is_first else None
        return register_paper(session, ref, put, version_id=version_id, first=first)[0]
    return register_paper(session, ref, put)[0]


def _refuse_taken_version(session: Session, ref: PaperRef, wanted: VersionRead) -> None:
    known = session.get(PaperVersion, wanted.id)
    paper = session.get_one(Paper, known.paper_id) if known is not None else None
    if paper is not None and paper.arxiv_id != ref.arxiv_id:
        detail = f"{wanted.id} is a version of {paper.arxiv_id} here; the document says it is one of {ref.arxiv_id}."
        raise ImportConflictError(detail)


def _post(version: VersionRead) -> VersionPost:
    return VersionPost.model_validate(version.model_dump(exclude={"id", "version"}))


def _version(session: Session, paper: Paper, wanted: VersionRead) -> PaperVersion:
    newest = session.scalar(select(func.max(PaperVersion.version)).where(PaperVersion.paper_id == paper.id)) or 0
    if newest > wanted.version:
        detail = f"{paper.arxiv_id} has version {newest} here; the document is of version {wanted.version}."
        raise ImportConflictError(detail)
    for number in range(newest + 1, wanted.version + 1):
        last = number == wanted.version
        add_version(session, paper, _post(wanted) if last else VersionPost(), version_id=wanted.id if last else None)
    version = find_version(session, paper, wanted.version)
    if VersionRead.model_validate(version, from_attributes=True) != VersionRead.model_validate(wanted.model_dump()):
        detail = f"Version {version.version} of {paper.arxiv_id} is {version.id} here; the document has another."
        raise ImportConflictError(detail)
    return version


def _claim(session: Session, paper: Paper, version: PaperVersion, citation: _Citation) -> Claim:
    value = Decimal(citation.reported_value)
    unit = "percent" if value > 1 else "fraction"  # the document does not say; nobody reports less than one percent
    fields: dict[str, Any] = citation.model_dump(exclude={"paper_arxiv_id"})
    post = ClaimPost.model_validate({**fields, "unit": unit})
    return find_claim(session, paper, post, value) or register_claim(session, paper, version, post)


def _verdict(session: Session, paper: Paper, version: PaperVersion, wanted: _Verdict) -> bool:
    """Issue the verdict; True where it is known already."""
    known = session.get(Verdict, wanted.id)
    if known is not None:
        _refuse_difference(session, paper, known, wanted)
        return True
    claim = _claim(session, paper, version, wanted.claim_citation)
    if paper.headline_claim_id != claim.id:
        detail = f"The headline claim of {paper.arxiv_id} is another here; PATCH headline_claim to {claim.id} first."
        raise ImportConflictError(detail)
    standing = current_verdict(session, claim.id, wanted.kind)
    if standing is not None and standing.computed_at > wanted.computed_at:
        detail = (
            f"{wanted.id} was computed before {standing.id}, which stands; a later verdict is not superseded by it."
        )
        raise SupersededImportError(detail)
    new = NewVerdict(
        paper_version_id=version.id,
        claim_id=claim.id,
        kind=wanted.kind,
        origin=VerdictOrigin.imported,
        **wanted.model_dump(
            include={"id", "status", "score", "confidence", "agent_version", "protocol_match", "computed_at"}
        ),
    )
    issue(session, paper, new)
    return False


def _refuse_difference(session: Session, paper: Paper, known: Verdict, wanted: _Verdict) -> None:
    claim = session.get_one(Claim, known.claim_id)
    here = document_verdict(known, claim, paper.arxiv_id).model_dump(exclude={"is_current"})
    there = wanted.model_dump(exclude={"is_current"})
    there["claim_citation"]["reported_value"] = float(there["claim_citation"]["reported_value"])
    if known.paper_id != paper.id or here != there:
        detail = f"Verdict {known.id} is stored already and says something else."
        raise ImportConflictError(detail)
