"""The unit in which a number is printed, as a schema of its own: generated clients have one type for it."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypeAliasType

from app.statistics import printed

Unit = TypeAliasType(
    "Unit",
    Annotated[
        printed.Unit, Field(title="Unit", description="Of a printed value: `percent` (91.8) or `fraction` (0.918).")
    ],
)
