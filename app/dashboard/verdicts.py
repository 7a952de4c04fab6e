"""One verdict, and the examples behind it."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import Query, Request, Response

from app.claims.queries import read_claim
from app.core.pagination import CursorQuery
from app.core.web import SessionDep, SettingsDep
from app.dashboard.asked import PAGE, Words, further, without_cursor
from app.dashboard.detail import detail_of
from app.dashboard.findings import evidence_or_none, with_texts
from app.dashboard.render import page
from app.dashboard.routes import page_router
from app.dashboard.texts import texts_of
from app.verdicts.errors import NoEvidenceError
from app.verdicts.examples import ExampleFilter, list_examples
from app.verdicts.lines import verdict_choices
from app.verdicts.queries import read_verdict
from app.verdicts.schemas import EvidenceRead

router = page_router()
_OTHERS: Final = 30
Show = Annotated[str, Query(pattern="^(wrong|all)$")]


@router.get("/verdicts/{verdict_id}")
def get_verdict(request: Request, session: SessionDep, settings: SettingsDep, verdict_id: UUID) -> Response:
    """One verdict with all its evidence, and others to compare it with."""
    verdict = read_verdict(session, verdict_id)
    claim = read_claim(session, verdict.claim_id)
    detail = detail_of(session, verdict, claim, settings.catalogue_dir)
    evidence, others = detail.found.evidence, []
    if evidence is not None and evidence.predictions:
        data = (evidence.facts.get("data") or {}).get("fingerprint")
        others = verdict_choices(session, verdict.paper_arxiv_id, data, _OTHERS)
    return page(
        request,
        "verdict.html",
        verdict=verdict,
        claim=claim,
        detail=detail,
        others=[one for one in others if one.id != verdict_id],
    )


@router.get("/verdicts/{verdict_id}/examples")
def get_examples(
    request: Request,
    session: SessionDep,
    settings: SettingsDep,
    verdict_id: UUID,
    q: Words = None,
    gold: Words = None,
    predicted: Words = None,
    show: Show = "wrong",
    cursor: CursorQuery = None,
) -> Response:
    """The examples behind a verdict: those it got wrong, or all; by id, text, gold or predicted label."""
    verdict = read_verdict(session, verdict_id)
    claim = read_claim(session, verdict.claim_id)
    evidence, evidence_id = evidence_or_none(session, verdict_id)
    if evidence is None or evidence_id is None:
        raise NoEvidenceError(verdict_id)
    labels = evidence.labels or []
    texts = texts_of(evidence, settings.catalogue_dir)
    wanted = ExampleFilter(
        # A cell of the diagonal holds right answers alone.
        wrong=show == "wrong" and (gold is None or gold != predicted),
        gold=_index(labels, gold),
        predicted=_index(labels, predicted),
        q=q,
        rows=texts.rows_with(q) if texts and q else (),
    )
    found = list_examples(session, evidence_id, labels, wanted, PAGE, cursor)
    return page(
        request,
        "examples.html",
        verdict=verdict,
        claim=claim,
        evidence=evidence,
        labels=labels,
        examples=with_texts(found.items, texts),
        has_texts=texts is not None,
        asked={"q": q or "", "gold": gold or "", "predicted": predicted or "", "show": show},
        first_page=without_cursor(request) if cursor else None,
        next_page=further(request, found.next_cursor),
        without=_why_none(evidence),
    )


def _index(labels: list[str], name: str | None) -> int | None:
    """The class of a label; one that nothing has, so that nothing is found, where there is no such label."""
    if name is None:
        return None
    return labels.index(name) if name in labels else -1


def _why_none(evidence: EvidenceRead) -> str | None:
    return None if evidence.predictions else "This verdict was posted as counts: there are no examples behind it."
