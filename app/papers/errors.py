"""What can go wrong with papers and versions."""

from http import HTTPStatus

from app.core.clock import now
from app.core.errors import AppError, FieldError
from app.protocol.paper_ids import never_given


class PaperIdError(AppError):
    """Not an id of a paper. `field` says where it stood."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "paper_id_malformed"
    title = "Not a paper id"

    def __init__(self, detail: str, *, field: str = "path.paper_id") -> None:
        super().__init__(detail, errors=[FieldError(field=field, detail=detail, code=self.code)])


class PaperNotFoundError(AppError):
    """No such paper."""

    status = HTTPStatus.NOT_FOUND
    code = "paper_not_found"
    title = "No such paper"

    def __init__(self, arxiv_id: str) -> None:
        super().__init__(_missing(arxiv_id))


def _missing(arxiv_id: str) -> str:
    if (why := never_given(arxiv_id, now().date())) is None:
        return f"There is no paper {arxiv_id} here. Register it with PUT /v1/papers/{arxiv_id}."
    return (
        f"There is no paper {arxiv_id} here, and arXiv cannot have it: {why}. Check the id. A paper that is not on "
        "arXiv is registered as a draft: PUT /v1/papers/draft:my-paper."
    )


class PaperMovedError(AppError):
    """A draft that has its arXiv id by now."""

    status = HTTPStatus.PERMANENT_REDIRECT
    code = "paper_moved"
    title = "The draft has its arXiv id"

    def __init__(self, alias: str, arxiv_id: str, location: str) -> None:
        detail = f"The paper {alias} is {arxiv_id} now; its history is there."
        super().__init__(detail, headers={"Location": location})
        self.arxiv_id = arxiv_id


class PaperExistsError(AppError):
    """Another paper has this id, now or from its time as a draft."""

    status = HTTPStatus.CONFLICT
    code = "paper_exists"
    title = "The id is taken"


class PaperChangeError(AppError):
    """A change that would not make sense."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "paper_change_invalid"
    title = "The change cannot be made"


class VersionNotFoundError(AppError):
    """No such version of the paper."""

    status = HTTPStatus.NOT_FOUND
    code = "version_not_found"
    title = "No such version"


class VersionSuffixError(AppError):
    """A `vN` where a version means nothing."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "version_not_meant"
    title = "A version means nothing here"


class ArxivError(AppError):
    """The arXiv API did not give the metadata."""

    status = HTTPStatus.BAD_GATEWAY
    code = "arxiv_unavailable"
    title = "arXiv did not answer as expected"


class ArxivNotFoundError(AppError):
    """The arXiv API knows no such paper."""

    status = HTTPStatus.NOT_FOUND
    code = "arxiv_paper_not_found"
    title = "arXiv knows no such paper"
