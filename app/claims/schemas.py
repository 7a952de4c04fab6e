"""Claims on the wire."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints

from app.core.clock import Instant
from app.models import Claim
from app.papers.schemas import NOT_BLANK, Printed, Text
from app.protocol.units import Unit

Cell = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=NOT_BLANK)]
"""Where the number stands. Three of these are the key of an index, whose entries Postgres holds to 2.7 kB."""


class ClaimPost(BaseModel):
    """A number that the paper reports, and where it stands."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "section": "Table 2",
                    "row": "Ours",
                    "column": "MNLI-m",
                    "reported_value": "84.6",
                    "unit": "percent",
                    "quoted_text": "Ours 84.6",
                }
            ]
        },
    )

    section: Cell
    row: Cell
    column: Cell
    reported_value: Printed = Field(
        description='As printed. A string keeps trailing zeros ("91.80"), which say how precisely it is known.',
        examples=["91.8", 91.8],
    )
    unit: Unit
    reported_metric: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")] = "accuracy"
    quoted_text: Text
    pdf_page: Annotated[int, Field(strict=True, ge=1, le=100_000)] | None = None
    notes: Text | None = None
    n_items: Annotated[int, Field(strict=True, ge=1, le=1_000_000_000)] | None = Field(
        default=None, description="On how many items the number was computed. With it, impossible values are refused."
    )
    force: StrictBool = Field(default=False, description="Register the value although no count gives it.")


class ClaimRead(BaseModel):
    """A claim."""

    id: UUID
    paper_arxiv_id: str
    paper_version: int
    section: str
    row: str
    column: str
    reported_value: float
    decimals: int
    unit: Unit
    reported_metric: str
    quoted_text: str
    pdf_page: int | None
    notes: str | None
    n_items: int | None
    is_headline: bool
    drivers: list[str] = Field(description="Slugs of the drivers that re-measure it.")
    created_at: Instant


def claim_read(claim: Claim, arxiv_id: str, version: int, *, headline: bool, drivers: list[str]) -> ClaimRead:
    """A claim as it is served."""
    return ClaimRead.model_validate(
        {
            **{name: getattr(claim, name) for name in ClaimRead.model_fields if hasattr(claim, name)},
            "reported_value": float(claim.reported_value),
            "paper_arxiv_id": arxiv_id,
            "paper_version": version,
            "is_headline": headline,
            "drivers": drivers,
        }
    )
