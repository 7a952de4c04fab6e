"""The paper document from its prepared row, without the way through FastAPI."""

import asyncio
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.etag import JSON, served
from app.hot.loader import Document, Loader
from app.hot.subjects import document_of

_ELSEWHERE: Final = frozenset({b"if-none-match", b"content-length", b"transfer-encoding"})
"""What asks for more than the document: FastAPI's business."""
ABSENT: Final = "document_absent"
"""In a request's scope: whoever let it in has looked for the document already."""


class Documents:
    """Answers a plain GET of a paper that is there; everything else goes on."""

    def __init__(self, app: ASGIApp, loader: Loader) -> None:
        self._app: Final = app
        self._loader: Final = loader

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        found = await self._document(scope) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        etag, body = found
        await Response(body, headers=served(etag), media_type=JSON)(scope, receive, send)

    async def _document(self, scope: Scope) -> Document | None:
        if scope["method"] != "GET" or ABSENT in scope or any(name in _ELSEWHERE for name, _ in scope["headers"]):
            return None
        arxiv_id = document_of(scope["path"])
        return await asyncio.shield(self._loader.document(arxiv_id)) if arxiv_id is not None else None
