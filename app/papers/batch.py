"""Many paper documents in one answer, put together from their prepared bytes."""

import json
from collections.abc import Iterator
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.errors import AppError, Problem
from app.models import Paper, PaperAlias, PaperDocument
from app.papers.errors import PaperMovedError, PaperNotFoundError, VersionSuffixError
from app.papers.ids import PaperRef
from app.papers.schemas import PaperDocumentRead

MOST: Final = 200


class BatchGet(BaseModel):
    """Which papers to read."""

    model_config = ConfigDict(extra="forbid")

    ids: Annotated[
        list[Annotated[str, Field(max_length=200)]],
        Field(min_length=1, max_length=MOST, examples=[["2111.09543", "draft:minilm-l6-nli-adapter"]]),
    ]


class BatchItem(BaseModel):
    """One of the papers asked for: its document with its ETag, or why there is none."""

    id: str
    etag: str | None = Field(description="Of the document, as GET of the paper gives it without a coding.")
    document: PaperDocumentRead | None
    problem: Problem | None = Field(description="A problem document, where there is no document.")


class BatchRead(BaseModel):
    """The papers in the order asked for."""

    items: list[BatchItem]


def read_batch(session: Session, wanted: BatchGet) -> bytes:
    """The body of the answer, as BatchRead describes it. Two statements at most, however many ids are asked for."""
    refs = {text: _parse(text) for text in wanted.ids}
    ids = {ref.arxiv_id for ref in refs.values() if isinstance(ref, PaperRef)}
    rows = session.execute(
        select(Paper.arxiv_id, PaperDocument.etag, PaperDocument.body)
        .join(PaperDocument, PaperDocument.paper_id == Paper.id)
        .where(Paper.arxiv_id.in_(ids))
    )
    found = {arxiv_id: (etag, body) for arxiv_id, etag, body in rows}
    moved = _moved(session, ids - found.keys())
    return b'{"items":[' + b",".join(_items(wanted.ids, refs, found, moved)) + b"]}"


def _items(
    texts: list[str], refs: dict[str, PaperRef | AppError], found: dict[str, tuple[str, bytes]], moved: dict[str, str]
) -> Iterator[bytes]:
    for text in texts:
        ref = refs[text]
        if isinstance(ref, PaperRef) and ref.arxiv_id in found:
            etag, body = found[ref.arxiv_id]
            yield b'{"id":%s,"etag":%s,"document":%s,"problem":null}' % (_json(text), _json(etag), body)
        else:
            problem = (ref if isinstance(ref, AppError) else _absent(ref, moved)).document()
            yield b'{"id":%s,"etag":null,"document":null,"problem":%s}' % (_json(text), _json(problem))


def _parse(text: str) -> PaperRef | AppError:
    try:
        ref = PaperRef.parse(text, field="body.ids")
    except AppError as error:
        return error
    if ref.version is not None:
        return VersionSuffixError(f"Leave out the v{ref.version}: a batch reads present documents.")
    return ref


def _absent(ref: PaperRef, moved: dict[str, str]) -> AppError:
    if (now := moved.get(ref.arxiv_id)) is not None:
        return PaperMovedError(ref.arxiv_id, now, f"/v1/papers/{now}")
    return PaperNotFoundError(ref.arxiv_id)


def _moved(session: Session, ids: set[str]) -> dict[str, str]:
    if not ids:
        return {}
    query = select(PaperAlias.alias, Paper.arxiv_id).join(Paper, Paper.id == PaperAlias.paper_id)
    return {row[0]: row[1] for row in session.execute(query.where(PaperAlias.alias.in_(ids)))}


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
