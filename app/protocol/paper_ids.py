"""How ids of papers are written, and which of them arXiv cannot have given; also for who asks a service."""

import re
from datetime import date
from typing import Final

_NEW: Final = r"\d{2}(?:0[1-9]|1[0-2])\.\d{4,5}"
_OLD: Final = r"[a-z-]+(?:\.[A-Z]{2})?/\d{2}(?:0[1-9]|1[0-2])\d{3}"
_DRAFT: Final = r"draft:[a-z0-9]+(?:-[a-z0-9]+)*"
VERSION_PATTERN: Final = r"v([1-9]\d{0,5})"
ID_PATTERN: Final = rf"(?:{_NEW}|{_OLD}|{_DRAFT})"
LONGEST_ID: Final = 100

# As OpenAPI states them: digits are ASCII's in every dialect of patterns.
_ARXIV: Final = rf"(?:{_NEW}|{_OLD})".replace(r"\d", "[0-9]")
ARXIV_ID: Final = f"^{_ARXIV}$"
PAPER_ID: Final = f"^(?:{_ARXIV}|{_DRAFT})$"
PAPER_REF: Final = f"^(?:{_ARXIV}(?:v[1-9][0-9]{{0,5}})?|{_DRAFT})$"

_ARXIV_REF: Final = re.compile(rf"({_NEW}|{_OLD})(?:{VERSION_PATTERN})?", re.ASCII)
_DRAFT_ID: Final = re.compile(_DRAFT, re.ASCII)
_WITHIN: Final = re.compile(rf"(?<![\w.-])(?:{_NEW}|{_OLD})(?:v[1-9]\d{{0,5}})?(?![\w/-]|\.\d)", re.ASCII)
_BUT_FOR_THE_MONTH: Final = re.compile(
    r"(?:\d\d(\d\d)\.\d{4,5}|[a-z-]+(?:\.[A-Z]{2})?/\d\d(\d\d)\d{3})(?:v\d+)?", re.ASCII
)
_PARTS: Final = re.compile(r"(?:(?P<archive>.+)/)?(?P<year>\d\d)(?P<month>\d\d)\.?(?P<number>\d+)", re.ASCII)
_FIRST_OLD_YEAR: Final = 91
_FIRST_NEW: Final = date(2007, 4, 1)
_FIRST_LONG: Final = date(2015, 1, 1)
_LONG: Final = 5


def read_id(text: str) -> tuple[str, int | None]:
    """The id, and the version where `vN` names one. Raises ValueError with what is wrong, in words."""
    if len(text) <= LONGEST_ID:
        if _DRAFT_ID.fullmatch(text):
            return text, None
        if match := _ARXIV_REF.fullmatch(text):
            return match[1], int(match[2]) if match[2] else None
    raise ValueError(_why_none(text[:LONGEST_ID]))


def _why_none(text: str) -> str:
    if match := _BUT_FOR_THE_MONTH.fullmatch(text):
        month = match[1] or match[2]
        if not 1 <= int(month) <= 12:  # noqa: PLR2004  # months of a year
            return f"{text!r} is no arXiv id: these begin with year and month, and there is no month {month}. Check it."
    if match := _WITHIN.search(text):
        return f"{text!r} is more than the id of a paper; it has to be {match[0]!r} alone."
    return (
        f"{text!r} is neither an arXiv id (like 2111.09543, 2111.09543v2 or hep-th/9901001) nor a draft id (like "
        "draft:my-paper)."
    )


def never_given(arxiv_id: str, today: date) -> str | None:
    """Why arXiv cannot have given this id until today, as half a sentence; None where it can, and for drafts."""
    parts = _PARTS.fullmatch(arxiv_id)
    if parts is None:
        return None
    is_old, year, number = parts["archive"] is not None, int(parts["year"]), parts["number"]
    century = 1900 if is_old and year >= _FIRST_OLD_YEAR else 2000
    begun = date(century + year, int(parts["month"]), 1)
    is_long, has_to_be_long = len(number) == _LONG, begun >= _FIRST_LONG
    reasons = {
        "the numbers of a month begin with 1": not int(number),
        "ids with the name of an archive end with March 2007": is_old and begun >= _FIRST_NEW,
        "ids like this one begin with April 2007, 0704.0001, and older ones are like hep-th/9901001": (
            not is_old and begun < _FIRST_NEW
        ),
        f"the id begins with year and month, and {begun:%B %Y} is still to come": begun > today,
        "after the point are four digits until 2014, and five since then": (
            not is_old and is_long is not has_to_be_long
        ),
    }
    return next((why for why, is_so in reasons.items() if is_so), None)
