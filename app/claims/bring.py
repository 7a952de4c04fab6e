"""Bring in claims from a file: all of them, or none and what is wrong with each."""

from decimal import Decimal
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from sqlalchemy.orm import Session

from app.access.audit import record
from app.claims.candidates import Candidate, refuse_file
from app.claims.errors import ClaimsFileError, ClaimValueError
from app.claims.from_csv import claims_of_csv
from app.claims.from_model_card import claims_of_model_card
from app.claims.register import find_claim, refuse_impossible, register_claim
from app.claims.schemas import ClaimPost
from app.core.errors import LONGEST_FIELD, MOST_FIELDS, FieldError
from app.models import Paper, PaperVersion
from app.protocol.units import Unit

MOST: Final = 1000
"""Claims in one file."""
CSV: Final = "text/csv"
MARKDOWN: Final = "text/markdown"
YAML: Final = "application/yaml"
MetricFilter = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class ClaimsFile(BaseModel):
    """A file of claims as it came."""

    model_config = ConfigDict(ser_json_bytes="base64")  # whatever the bytes are

    content: bytes
    media: Literal["text/csv", "text/markdown", "application/yaml"]
    force: bool = False
    unit: Unit | None = None
    metric: MetricFilter | None = None


class ClaimImported(BaseModel):
    """One claim of the file."""

    id: UUID
    place: str = Field(description="Where it stands in the file.", examples=["line.2"])
    known: bool = Field(description="Whether it was registered already, and stays as it is.")


class ClaimsImported(BaseModel):
    """What the file brought."""

    registered: int
    known: int
    claims: list[ClaimImported]


def bring_claims(session: Session, paper: Paper, version: PaperVersion, file: ClaimsFile) -> ClaimsImported:
    """Register the file's claims, in its order, with the locked paper; those that are known stay as they are.

    Raises ClaimsFileError with an error for every bad field of every claim; nothing is written then.
    """
    posts = _checked(list(_candidates(file)), force=file.force)
    claims = []
    for place, post in posts:
        known = find_claim(session, paper, post, Decimal(post.reported_value))
        claim = known or register_claim(session, paper, version, post)
        claims.append(ClaimImported(id=claim.id, place=place, known=known is not None))
    already = sum(one.known for one in claims)
    facts = {"registered": len(claims) - already, "known": already, "media": file.media, "forced": file.force}
    record(session, "claims.imported", f"papers/{paper.arxiv_id}", facts)
    return ClaimsImported(registered=len(claims) - already, known=already, claims=claims)


def _candidates(file: ClaimsFile) -> list[Candidate]:
    try:
        text = file.content.decode()
    except UnicodeDecodeError as error:
        refuse_file(f"It is not UTF-8: byte {error.start} is none of it.")
    if file.media == CSV:
        found = claims_of_csv(text)
    else:
        bare = file.media == YAML
        found = claims_of_model_card(text, unit=file.unit, metric=file.metric, bare=bare)
    candidates = []
    for candidate in found:
        candidates.append(candidate)
        if len(candidates) > MOST:
            refuse_file(f"It holds more than {MOST} claims; send them in several files.")
    if not candidates:
        refuse_file("It holds no claim.")
    return candidates


def _checked(candidates: list[Candidate], *, force: bool) -> list[tuple[str, ClaimPost]]:
    posts: list[tuple[str, ClaimPost]] = []
    errors: list[FieldError] = []
    seen: dict[tuple[str, str, str, str, Decimal], str] = {}
    bad = 0
    for candidate in candidates:
        found = _check(candidate, force=force)
        if isinstance(found, ClaimPost):
            cell = (found.section, found.row, found.column, found.reported_metric, Decimal(found.reported_value))
            first = seen.setdefault(cell, candidate.place)
            if first == candidate.place:
                posts.append((candidate.place, found))
                continue
            detail = f"it is the same number of the same cell as {first}"
            found = [FieldError(field=f"body.{candidate.place}", detail=detail, code="claim_repeated")]
        errors += found
        bad += 1
    if errors:
        first_error = errors[0]
        detail = (
            f"{bad} of {len(candidates)} claims cannot be registered, so none was. "
            f"{first_error.field}: {first_error.detail}"
        )
        raise ClaimsFileError(detail, errors=errors[:MOST_FIELDS])
    return posts


def _check(candidate: Candidate, *, force: bool) -> ClaimPost | list[FieldError]:
    """The claim, or what is wrong with it."""
    place = f"body.{candidate.place}"
    try:
        post = ClaimPost.model_validate({**candidate.fields, "force": force or candidate.fields.get("force", False)})
        refuse_impossible(post, Decimal(post.reported_value))
    except ValidationError as error:
        return [
            FieldError(
                field=".".join([place, *map(str, one["loc"])])[:LONGEST_FIELD], detail=one["msg"], code=one["type"]
            )
            for one in error.errors()
        ]
    except ClaimValueError as error:
        return [FieldError(field=f"{place}.reported_value", detail=error.detail, code=error.code)]
    return post
