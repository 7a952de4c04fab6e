"""The comparison of two verdicts on the wire."""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from app.core.clock import Instant
from app.core.pagination import Page
from app.models import VerdictKind
from app.protocol.status import VerdictStatus

Side = Literal["first", "second"]


class ComparedVerdict(BaseModel):
    """One of the two verdicts, and how it did on the items that both measured."""

    id: UUID
    paper_arxiv_id: str
    claim_id: UUID
    kind: VerdictKind
    status: VerdictStatus
    agent_version: str
    computed_at: Instant
    items: int = Field(description="How many items this verdict measured in all; both may have measured fewer: `n`.")
    correct: int = Field(description="Of the `n` items that both measured, how many this verdict has right.")
    accuracy: float = Field(
        description="`correct / n`: on the common items alone, so not the verdict's score where it measured more."
    )


class AxisComparison(BaseModel):
    """One axis of the protocol, or one fact of the recipe. Null where a verdict does not state it."""

    axis: str = Field(examples=["model", "data", "metric", "inference", "slice", "dtype", "margin"])
    first: str | None
    second: str | None
    differs: bool


class FlippedExample(BaseModel):
    """An item that one verdict has right and the other wrong. Labels by name."""

    item_id: str
    row: int = Field(description="Row of the item in the first verdict's predictions.")
    gold: str
    first: str
    second: str
    right: Side = Field(description="Which of the two is right.")


class ComparisonRead(BaseModel):
    """Two verdicts on the items that both of them measured."""

    first: ComparedVerdict
    second: ComparedVerdict
    data_fingerprint: str | None = Field(
        description="Of the split, where both state it and agree; else the items are matched by their ids and their "
        "gold labels agree."
    )
    n: int = Field(description="How many items both measured: what every other count is of, but for `items`.")
    both_correct: int
    only_first: int = Field(description="Items that only the first has right.")
    only_second: int = Field(description="Items that only the second has right.")
    both_wrong: int
    wrong_differently: int = Field(description="Among `both_wrong`: items with two different predictions.")
    difference: float = Field(description="Accuracy of the first minus that of the second, on the common items.")
    interval_95: tuple[float, float] = Field(description="Of the difference: Tango's score interval for paired shares.")
    interval_method: Literal["tango"] = "tango"
    p_value: float = Field(description="Exact McNemar test, two-sided; 1 where no item flips.")
    axes: list[AxisComparison]
    flipped: Page[FlippedExample] = Field(description="Items that one has right and the other wrong, in order of rows.")
