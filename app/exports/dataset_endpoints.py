"""The whole data set over HTTP."""

from contextlib import closing
from typing import Annotated, Any, Final, cast

from fastapi import Query, Request, Response

from app.access.routes import public_router
from app.core.edge import HEAD
from app.core.etag import held_by, served
from app.core.web import problems
from app.exports.downloads import Downloads, Media
from app.verdicts.predictions import JSONL, PARQUET

public = public_router(tags=["exports"])

CurrentQuery = Annotated[
    bool | None, Query(description="Only the verdicts that stand, or only those that were superseded; default: all.")
]
_LINE: Final = '{"verdict_id":"da59c566-d0cc-40b4-9fe7-2f6cdf566087","paper_arxiv_id":"2111.09543","paper_version":1}'


def _content(media: str, example: str | None = None) -> dict[int | str, dict[str, Any]]:
    schema = {"type": "string", "format": "binary"} if example is None else {"type": "string"}
    body = {"schema": schema} if example is None else {"schema": schema, "example": example}
    return {200: {"description": "All of it; docs/exports.md names the columns.", "content": {media: body}}}


@public.get(
    "/exports/verdicts.jsonl",
    operation_id="downloadVerdictsAsJsonLines",
    response_class=Response,
    responses=problems(422, 503) | _content(JSONL, _LINE),
)
def get_json_lines(request: Request, is_current: CurrentQuery = None) -> Response:  # a query parameter
    """Every verdict, one a line, oldest first, as of one moment."""
    return _answer(request, "application/jsonl", is_current)


@public.get(
    "/exports/verdicts.parquet",
    operation_id="downloadVerdictsAsParquet",
    response_class=Response,
    responses=problems(422, 503) | _content(PARQUET),
)
def get_parquet(request: Request, is_current: CurrentQuery = None) -> Response:  # a query parameter
    """Every verdict as one Parquet table, oldest first, as of one moment."""
    return _answer(request, "application/vnd.apache.parquet", is_current)


def _answer(request: Request, media: Media, current: bool | None) -> Response:  # noqa: FBT001  # handed on
    downloads = cast("Downloads", request.app.state.downloads)
    with closing(downloads.open(media, current=current)) as download:
        headers = {
            **served(download.etag),
            "Content-Disposition": f'attachment; filename="{request.url.path.rpartition("/")[2]}"',
            "X-Content-Type-Options": "nosniff",
        }
        if (held := held_by(request, download.etag)) is not None:
            return Response(status_code=304, headers={**headers, "ETag": held})
        if HEAD in request.scope:
            return Response(headers=headers, media_type=media)
        return download.response(headers)
