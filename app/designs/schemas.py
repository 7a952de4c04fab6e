"""Designs on the wire."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.papers.schemas import Printed
from app.protocol.driver import Estimand, Slug
from app.protocol.units import Unit

LARGEST_POPULATION: Final = 100_000
"""Exact power takes seconds beyond it; a much larger population is as good as none."""

_Share = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class DesignPost(BaseModel):
    """A claim and how sure the decision about it is to be."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"reported_value": "91.8", "unit": "percent", "population": 9815}]},
    )

    reported_value: Printed = Field(description="As printed; its last digit widens the margin by half.")
    unit: Unit
    population: Annotated[int, Field(strict=True, ge=1, le=LARGEST_POPULATION)] | None = Field(
        default=None, description="How many items the split has. Null: new items like them."
    )
    margin: Annotated[_Share, Field(ge=0.001, lt=0.5)] = Field(
        default=0.01, description="Delta, as a fraction: 0.01 is one point."
    )
    power: Annotated[_Share, Field(ge=0.01, le=0.999)] = Field(
        default=0.8, description="The probability that a true claim is found to be reproduced."
    )
    rule_version: Literal["1"] = "1"
    driver: Slug | None = Field(default=None, description="Whose earlier runs say how long it takes.")


class DesignCost(BaseModel):
    """What the runs of a driver have taken so far, and what this design would take at that speed."""

    driver: str
    runs: int = Field(description="Successful runs that this is measured on.")
    examples_per_second: float
    seconds: float


class DesignRead(BaseModel):
    """The size of a simple random slice from which a true claim is found to be reproduced often enough."""

    n: int | None = Field(description="Null where no size reaches the power.")
    power: float | None = Field(description="The exact power at n; from n on it stays at what was asked for or more.")
    population: int | None
    estimand: Estimand
    margin: float = Field(description="The margin that decides: delta and half of the last printed digit.")
    rule_version: str
    cost: DesignCost | None = Field(description="Null where no driver was named, or none of its runs is measured yet.")
