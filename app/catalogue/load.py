"""Load a catalogue into the database: papers, the claims their drivers check, and the drivers."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.access.audit import record
from app.catalogue.errors import CatalogueError
from app.catalogue.files import PaperFile, VersionFile, blaming, read_drivers, read_papers
from app.claims.register import find_claim, register_claim
from app.claims.schemas import ClaimPost
from app.models import Claim, Driver, Paper, PaperVersion
from app.models.base import new_id
from app.papers.add_version import add_version
from app.papers.document import write_document
from app.papers.errors import PaperMovedError, PaperNotFoundError
from app.papers.find import find_paper, find_version
from app.papers.ids import PaperRef
from app.papers.register import register_paper
from app.papers.schemas import PaperPut, VersionPost
from app.protocol.driver import DriverSpec, ReportedClaim


@dataclass(frozen=True, slots=True)
class Loaded:
    """How many papers and drivers the catalogue holds."""

    papers: int
    drivers: int


def load_catalogue(session: Session, directory: Path) -> Loaded:
    """Bring in what the catalogue has and the database has not; bring drivers up to date.

    Papers that are there already keep their metadata, whoever changed it since; they only gain versions.
    Raises CatalogueError, naming the file; nothing is written then.
    """
    if not (directory / "drivers").is_dir():
        raise CatalogueError(f"{directory} is no catalogue: it has no folder `drivers`")
    papers, drivers = list(read_papers(directory)), list(read_drivers(directory))
    for name, paper in papers:
        with blaming(name):
            _bring_paper(session, paper)
    for name, spec in drivers:
        with blaming(name):
            _bring_driver(session, spec)
    return Loaded(len(papers), len(drivers))


def find_moved(session: Session, ref: PaperRef) -> Paper:
    """The paper, locked, also by the id it had as a draft. Raises PaperNotFoundError."""
    try:
        return find_paper(session, ref, lock=True)
    except PaperMovedError as moved:
        return find_paper(session, PaperRef(moved.arxiv_id), lock=True)


def _bring_paper(session: Session, file: PaperFile) -> None:
    ref = PaperRef(file.arxiv_id)
    try:
        paper = find_moved(session, ref)
    except PaperNotFoundError:
        put = PaperPut.model_validate(file.model_dump(exclude={"arxiv_id", "versions"}))
        first = file.versions[0]
        paper, _ = register_paper(session, ref, put, version_id=first.id, first=_post(first))
    newest = session.scalar(select(func.max(PaperVersion.version)).where(PaperVersion.paper_id == paper.id)) or 0
    for version in file.versions[newest:]:
        add_version(session, paper, _post(version), version_id=version.id)
    write_document(session, paper)


def _post(version: VersionFile) -> VersionPost:
    return VersionPost.model_validate(version.model_dump(exclude={"version", "id"}))


def _bring_driver(session: Session, spec: DriverSpec) -> None:
    paper = find_moved(session, PaperRef(spec.paper))
    claim = _bring_claim(session, paper, spec.claim)
    values = {
        "claim_id": claim.id,
        "agent_version": spec.agent_version,
        "spec": spec.model_dump(mode="json"),
        "spec_digest": spec.digest,
    }
    changed = session.scalar(
        insert(Driver)
        .values(id=new_id(), slug=spec.slug, updated_at=func.now(), **values)
        .on_conflict_do_update(
            index_elements=["slug"],
            set_={**values, "updated_at": func.now()},
            where=Driver.spec_digest != spec.digest,
        )
        .returning(Driver.id)
    )
    if changed is not None:
        record(session, "driver.loaded", f"drivers/{spec.slug}", {"agent_version": spec.agent_version})


def _bring_claim(session: Session, paper: Paper, citation: ReportedClaim) -> Claim:
    post = ClaimPost.model_validate({**citation.model_dump(exclude={"metric"}), "reported_metric": citation.metric})
    known = find_claim(session, paper, post, Decimal(post.reported_value))
    return known or register_claim(session, paper, find_version(session, paper, None), post)
