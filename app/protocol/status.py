"""The three statuses of a verdict: what a paper shows, and what the decision comes to."""

from enum import StrEnum


class VerdictStatus(StrEnum):
    """What a verdict says of the claim."""

    reproduced = "reproduced"
    not_reproduced = "not_reproduced"
    inconclusive = "inconclusive"
