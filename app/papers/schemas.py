"""Papers on the wire: what is sent in, what is listed, and the paper document."""

from decimal import Decimal
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import (
    AnyUrl,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    UrlConstraints,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import PydanticCustomError

from app.core.clock import Instant
from app.models import VerdictKind
from app.protocol.axes import ProtocolMatch
from app.protocol.paper_ids import LONGEST_ID, PAPER_ID
from app.protocol.status import VerdictStatus

NO_NUL: Final = r"^[^\x00]*$"
"""Postgres keeps any text but NUL."""
NOT_BLANK: Final = r"^[^\x00]*[^\x00\s][^\x00]*$"
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000, pattern=NOT_BLANK)]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1_000, pattern=NOT_BLANK)]
Category = Annotated[str, StringConstraints(pattern=r"^[a-z-]+(\.[A-Za-z-]+)?$", max_length=40)]
PRINTED: Final = r"^[0-9]{1,3}(\.[0-9]{1,20})?$"


def _as_printed(value: Any) -> Any:  # noqa: ANN401  # whatever JSON brought
    """A JSON number as its shortest decimal; a string as it stands, so that trailing zeros survive."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    try:
        return format(Decimal(str(value)), "f")
    except (ArithmeticError, ValueError):  # the pattern refuses what has no such form: NaN, infinity, 5,000 digits
        return "not a number"


Printed = Annotated[
    str,
    BeforeValidator(_as_printed),
    StringConstraints(pattern=PRINTED),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "exclusiveMaximum": 1000},
                {"type": "string", "pattern": PRINTED},
            ]
        }
    ),
]
"""A number as a paper prints it: up to three digits before the point and twenty after it."""
HttpUrl = Annotated[AnyUrl, UrlConstraints(max_length=2_000, allowed_schemes=["http", "https"])]


_NEVER_NULL: Final = ("arxiv_id", "title", "abstract", "withdrawn", "headline_claim")


def _without_nulls(schema: dict[str, Any]) -> None:
    """In a change None means that the field was left out; a null that is sent is refused, so the schema has none.

    No field is required, so there is an example beside them.
    """
    for name in _NEVER_NULL:
        field = schema["properties"][name]
        (kind,) = (one for one in field.pop("anyOf") if one != {"type": "null"})
        field.pop("default", None)
        field.update(kind)
    schema["examples"] = [{"venue": "ICLR 2027", "published_at": "2027-05-03T00:00:00Z"}]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PaperPut(_In):
    """The metadata of a paper. Replaces all of it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"title": "A Draft", "abstract": "What it says.", "venue": "ICLR 2027"}]}
    )

    title: Line
    abstract: Text
    primary_category: Category | None = None
    venue: Line | None = None
    published_at: Instant | None = None
    withdrawn: StrictBool = False
    source_url: HttpUrl | None = Field(
        default=None,
        description="Of version 1, which a new paper gets; for arXiv ids it defaults to the abstract page.",
    )


class PaperPatch(_In):
    """Some of a paper's metadata. What is left out stays as it is."""

    model_config = ConfigDict(json_schema_extra=_without_nulls)

    arxiv_id: str | None = Field(
        default=None,
        description="For a draft: the arXiv id it got. The old address redirects.",
        json_schema_extra={"pattern": PAPER_ID, "maxLength": LONGEST_ID},
    )
    title: Line | None = None
    abstract: Text | None = None
    primary_category: Category | None = None
    venue: Line | None = None
    published_at: Instant | None = None
    withdrawn: StrictBool | None = None
    headline_claim: UUID | None = Field(default=None, description="The claim that speaks for the paper.")

    @field_validator(*_NEVER_NULL, mode="before")
    @classmethod
    def _never_null(cls, value: object) -> object:
        if value is None:
            raise PydanticCustomError("null", "it cannot be null; leave it out to keep what there is")
        return value


class VersionPost(_In):
    """A new version; its number is the next one."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"source_url": "https://arxiv.org/abs/2111.09543v2", "rendering_engine": "latexml"}]
        }
    )

    source_url: HttpUrl | None = None
    rendered_html_url: HttpUrl | None = None
    rendering_engine: Line | None = None


class PaperRead(BaseModel):
    """A paper, as the document shows it."""

    arxiv_id: str
    title: str
    abstract: str
    primary_category: str | None
    venue: str | None
    published_at: Instant | None
    latest_version: int
    withdrawn: bool


class VersionRead(BaseModel):
    """A version, as the document shows it."""

    id: UUID
    version: int
    source_url: str | None
    rendered_html_url: str | None
    rendering_engine: str | None


class ClaimCitation(BaseModel):
    """The claim, as a verdict cites it."""

    paper_arxiv_id: str
    section: str
    row: str
    column: str
    reported_value: float
    reported_metric: str
    quoted_text: str
    pdf_page: int | None
    notes: str | None


class DocumentVerdict(BaseModel):
    """A verdict inside the paper document: these ten keys, no more."""

    id: UUID
    kind: VerdictKind
    status: VerdictStatus
    score: float
    confidence: float
    agent_version: str
    computed_at: Instant
    is_current: bool
    claim_citation: ClaimCitation
    protocol_match: ProtocolMatch


class DocumentVerdicts(BaseModel):
    """The headline claim's verdict of each kind."""

    post: DocumentVerdict | None
    pre: DocumentVerdict | None


class PaperDocumentRead(BaseModel):
    """The paper document: the order of its keys is part of the contract."""

    paper: PaperRead
    latest_version: VersionRead
    verdict: DocumentVerdict | None
    verdicts: DocumentVerdicts


class PaperSummary(BaseModel):
    """A paper in a list."""

    arxiv_id: str
    title: str
    primary_category: str | None
    venue: str | None
    published_at: Instant | None
    withdrawn: bool
    status: VerdictStatus | None = Field(description="Status of the paper's verdict; null while it has none.")
    newest_verdict_at: Instant | None
