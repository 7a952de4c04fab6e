"""The applications that are compared, as uvicorn factories, with the product's settings from the environment."""

import os
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.types import ASGIApp, Receive, Scope, Send

from app.access.tally import Tally
from app.core.collector import freeze
from app.core.compression import Compression
from app.core.db import Database
from app.core.edge import Edge
from app.core.peers import Peer
from app.core.settings import Settings
from app.hot.cache import Headers
from app.hot.dispatcher import Hot
from app.hot.lane import _OK_LINE, _UNCHANGED_LINE, Lane
from app.main import Service, create_app
from app.models import Claim, Paper, PaperVersion, Verdict, VerdictKind
from app.papers.document import document_verdict, version_read
from app.papers.schemas import DocumentVerdicts, PaperDocumentRead, PaperRead
from app.verdicts import endpoints
from app.verdicts.schemas import VerdictRead

_VERDICT = Path(__file__).with_name("verdict.json").read_text(encoding="utf-8")


def bare() -> ASGIApp:
    """The limit of a Python server: the same bytes and headers, whatever is asked; or a 304 with these headers."""
    body = Path(os.environ["BENCH_BODY"]).read_bytes()
    headers = [
        (name.encode(), value.encode())
        for name, value in (line.split(": ", 1) for line in os.environ["BENCH_HEADERS"].splitlines())
    ]
    start = {"type": "http.response.start", "status": int(os.environ.get("BENCH_STATUS", "200")), "headers": headers}
    end = {"type": "http.response.body", "body": body}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        await send(start)
        await send(end)

    freeze()
    return app


class _Unobserved(Service):
    """The layers that answer, without those that look on."""

    def build_middleware_stack(self) -> ASGIApp:
        app = FastAPI.build_middleware_stack(self)
        return Hot(Edge(app), self.state.serving, Compression(app))


class SilentLane(Lane):
    """The lane with nobody counted, nothing noted and no id made."""

    def at_once(
        self, url: bytes, headers: Headers, peer: Peer, came: float
    ) -> tuple[bytes, bytes, bytes, bytes] | None:
        """As the lane's, without its middle."""
        del peer
        found = self._find(url.decode("latin-1"), headers, came)
        if found is None:
            return None
        answer, changed = found
        if changed:
            return _OK_LINE, answer.lines[0], b"", answer.body
        return _UNCHANGED_LINE, answer.lines[1], b"", b""

    def _noted(self, *_: object) -> bytes:
        return b""


def unobserved() -> ASGIApp:
    """The hot path alone."""
    app = create_app()
    app.__class__ = _Unobserved
    state = app.state
    app.lane = SilentLane(app.usual_way, state.serving, state.journal, state.ids, Tally(state.gate.requests, ()))
    freeze()
    return app.lane


def stub_verdict() -> None:
    """Have every verdict be one that is there already."""
    verdict = VerdictRead.model_validate_json(_VERDICT)
    vars(endpoints)["read_verdict"] = lambda _session, _verdict_id: verdict


def plain_route() -> ASGIApp:
    """The service with a verdict that needs no SQL."""
    stub_verdict()
    app = create_app()
    freeze()
    return app.lane


def usual() -> FastAPI:
    """The same document, from the same tables, built as tutorials do it: ORM objects into a response model."""
    app = FastAPI()
    database = Database(Settings().database_url or "")

    @app.get("/v1/papers/{arxiv_id}", response_model=PaperDocumentRead)
    def get_paper(arxiv_id: str) -> Any:  # noqa: ANN401  # what the response model validates
        with Session(database.engine) as session:
            return _document(session, arxiv_id)

    return app


def _document(session: Session, arxiv_id: str) -> PaperDocumentRead:
    paper = session.scalars(select(Paper).where(Paper.arxiv_id == arxiv_id)).one()
    version = session.scalars(
        select(PaperVersion).where(PaperVersion.paper_id == paper.id).order_by(PaperVersion.version.desc()).limit(1)
    ).one()
    found = {
        verdict.kind: document_verdict(verdict, claim, paper.arxiv_id)
        for verdict, claim in session.execute(
            select(Verdict, Claim)
            .join(Claim, Claim.id == Verdict.claim_id)
            .where(Verdict.claim_id == paper.headline_claim_id, Verdict.is_current)
        )
    }
    post, pre = found.get(VerdictKind.POST), found.get(VerdictKind.PRE)
    return PaperDocumentRead(
        paper=PaperRead(
            arxiv_id=paper.arxiv_id,
            title=paper.title,
            abstract=paper.abstract,
            primary_category=paper.primary_category,
            venue=paper.venue,
            published_at=paper.published_at,
            latest_version=version.version,
            withdrawn=paper.withdrawn,
        ),
        latest_version=version_read(version),
        verdict=post or pre,
        verdicts=DocumentVerdicts(post=post, pre=pre),
    )
