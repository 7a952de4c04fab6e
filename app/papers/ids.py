"""Ids of papers: arXiv ids new and old, draft ids, and a trailing `vN`."""

import re
from dataclasses import dataclass
from typing import Annotated, Final, Self

from fastapi import Depends, Path
from starlette.convertors import Convertor, register_url_convertor

from app.papers.errors import PaperIdError

_NEW: Final = r"\d{2}(?:0[1-9]|1[0-2])\.\d{4,5}"
_OLD: Final = r"[a-z-]+(?:\.[A-Z]{2})?/\d{2}(?:0[1-9]|1[0-2])\d{3}"
_DRAFT: Final = r"draft:[a-z0-9]+(?:-[a-z0-9]+)*"
VERSION_PATTERN: Final = r"v([1-9]\d{0,5})"
ID_PATTERN: Final = rf"(?:{_NEW}|{_OLD}|{_DRAFT})"
_ARXIV_REF: Final = re.compile(rf"({_NEW}|{_OLD})(?:{VERSION_PATTERN})?", re.ASCII)
_DRAFT_ID: Final = re.compile(_DRAFT, re.ASCII)
_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class PaperRef:
    """A paper's id and, where the reference had a `vN`, the version it names. Drafts take no `vN`."""

    arxiv_id: str
    version: int | None = None

    @classmethod
    def parse(cls, text: str, *, field: str = "path.paper_id") -> Self:
        """Read `2111.09543`, `2111.09543v2`, `hep-th/9901001v1` or `draft:some-slug`.

        Raises PaperIdError, naming the field that the text came from.
        """
        if len(text) <= _MAX:
            if _DRAFT_ID.fullmatch(text):
                return cls(text)
            if match := _ARXIV_REF.fullmatch(text):
                return cls(match[1], int(match[2]) if match[2] else None)
        detail = (
            f"{text[:_MAX]!r} is neither an arXiv id (like 2111.09543, 2111.09543v2 or hep-th/9901001) "
            "nor a draft id (like draft:my-paper)."
        )
        raise PaperIdError(detail, field=field)

    @property
    def is_draft(self) -> bool:
        """Whether the paper is not on arXiv yet."""
        return self.arxiv_id.startswith("draft:")


class _PaperIdConvertor(Convertor[str]):
    """A path segment, or two where the second starts with a digit: an old-style id, or what was meant as one."""

    regex = r"[A-Za-z.-]+/[0-9][^/]*|[^/]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("paper_id", _PaperIdConvertor())

PAPER_PATH: Final = "/papers/{paper_id:paper_id}"
"""The start of every route below a paper."""


def _parse(
    paper_id: Annotated[
        str,
        Path(
            description="An arXiv id, old or new style, with or without `vN`; or `draft:<slug>`.",
            examples=["2111.09543", "hep-th/9901001", "draft:minilm-l6-nli-adapter"],
        ),
    ],
) -> PaperRef:
    return PaperRef.parse(paper_id)


PaperRefDep = Annotated[PaperRef, Depends(_parse)]
