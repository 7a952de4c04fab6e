"""What every typed answer is, and the answer that says what went wrong."""

from pydantic import BaseModel, ConfigDict


class Answered(BaseModel):
    """Something that was read. It cannot be changed; what a newer service adds is in `model_extra`."""

    model_config = ConfigDict(frozen=True, extra="allow")


class FieldProblem(Answered):
    """One bad field of a request."""

    field: str
    detail: str
    code: str


class Problem(Answered):
    """A problem document (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldProblem] | None = None
