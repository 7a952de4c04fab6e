"""Ids of papers: arXiv ids new and old, draft ids, and a trailing `vN`."""

from dataclasses import dataclass
from typing import Annotated, Any, Final, Self

from fastapi import Depends, Path
from starlette.convertors import Convertor, register_url_convertor

from app.papers.errors import PaperIdError, VersionSuffixError
from app.protocol.paper_ids import ARXIV_ID, LONGEST_ID, PAPER_ID, PAPER_REF, read_id


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
        try:
            return cls(*read_id(text))
        except ValueError as error:
            raise PaperIdError(str(error), field=field) from error

    @classmethod
    def parse_whole(cls, text: str) -> Self:
        """Read the id of a paper as a whole. Raises PaperIdError, and VersionSuffixError for one with `vN`."""
        ref = cls.parse(text)
        if ref.version is not None:
            detail = f"Leave out the v{ref.version}: this is about the paper as a whole."
            raise VersionSuffixError(detail)
        return ref

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


def _documented(description: str, pattern: str, *examples: str) -> Any:  # noqa: ANN401  # as FastAPI's own Path
    """The path parameter with its pattern for readers; PaperRef is what refuses, with words of its own."""
    schema = {"pattern": pattern, "maxLength": LONGEST_ID}
    return Path(description=description, json_schema_extra=schema, examples=list(examples))


async def _parse(
    paper_id: Annotated[
        str,
        _documented(
            "An arXiv id, old or new style, with or without `vN`; or `draft:<slug>`.",
            PAPER_REF,
            "2111.09543",
            "hep-th/9901001",
            "draft:minilm-l6-nli-adapter",
        ),
    ],
) -> PaperRef:
    return PaperRef.parse(paper_id)


async def _parse_paper(
    paper_id: Annotated[
        str, _documented("An arXiv id without `vN`, or `draft:<slug>`.", PAPER_ID, "2111.09543", "draft:my-paper")
    ],
) -> PaperRef:
    return PaperRef.parse_whole(paper_id)


async def _parse_arxiv(
    paper_id: Annotated[str, _documented("An arXiv id without `vN`.", ARXIV_ID, "2111.09543", "hep-th/9901001")],
) -> PaperRef:
    return PaperRef.parse_whole(paper_id)


PaperRefDep = Annotated[PaperRef, Depends(_parse)]
"""A paper, or one of its versions."""
PaperIdDep = Annotated[PaperRef, Depends(_parse_paper)]
"""A paper as a whole: `vN` is refused."""
ArxivIdDep = Annotated[PaperRef, Depends(_parse_arxiv)]
"""A paper as a whole, which arXiv can be asked about; a draft is refused by whoever asks."""
