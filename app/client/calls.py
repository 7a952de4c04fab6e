"""The requests of the API, and what their answers are read as. Nothing here is sent."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote
from uuid import UUID, uuid4

from pydantic import BaseModel

from app.client.effects import Json, Request, Response
from app.client.models import (
    AuditEntry,
    Batch,
    BatchItem,
    Claim,
    ClaimsImported,
    DocumentImported,
    Driver,
    Evidence,
    Page,
    PaperDocument,
    PaperSummary,
    Reproduction,
    Verdict,
    Webhook,
    WebhookCreated,
)
from app.client.retries import IDEMPOTENCY

Result = TypeVar("Result")
Model = TypeVar("Model", bound=BaseModel)
Id = UUID | str
MEDIA_TYPES: Final = {
    "jsonl": "application/jsonl",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
}
EVENTS_TIMEOUT_S: Final = 60.0
"""Silence on a stream of events, whose service sends a comment now and then, after which the connection is dead."""


@dataclass(frozen=True, slots=True)
class Call(Generic[Result]):
    """A request, and how its answer is read. `most` bounds the items of a list over all its pages."""

    request: Request
    parse: Callable[[Response], Result]
    most: int | None = None

    def page(self, limit: int, cursor: str | None) -> "Call[Result]":
        """The same list, a page of it."""
        params = {**self.request.params, "limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        return replace(self, request=replace(self.request, params=params))


def paper(paper_id: str) -> Call[PaperDocument]:
    """The paper document: `2111.09543`, as of a version `2111.09543v1`, `hep-th/9901001`, `draft:my-paper`."""
    return _get(_paper(paper_id), PaperDocument)


def papers(
    q: str | None = None,
    *,
    category: str | None = None,
    venue: str | None = None,
    status: str | None = None,
    withdrawn: bool | None = None,
    sort: str | None = None,
    limit: int | None = None,
) -> Call[Page[PaperSummary]]:
    """Papers, newest verdict first (`sort="id"`: by id). `q`: words of the id, title or abstract."""
    asked = {"q": q, "category": category, "venue": venue, "status": status, "withdrawn": withdrawn, "sort": sort}
    return _list("/v1/papers", asked, Page[PaperSummary], limit)


def verdicts(
    paper_id: str | None = None,
    *,
    kind: str | None = None,
    claim: Id | None = None,
    is_current: bool | None = None,
    status: str | None = None,
    limit: int | None = None,
) -> Call[Page[Verdict]]:
    """Verdicts, newest first: the history of a paper, or the feed of all."""
    path = "/v1/verdicts" if paper_id is None else f"{_paper(paper_id)}/verdicts"
    asked = {"kind": kind, "claim": claim, "is_current": is_current, "status": status}
    return _list(path, asked, Page[Verdict], limit)


def verdict(verdict_id: Id) -> Call[Verdict]:
    """One verdict with its axes and the whole decision."""
    return _get(f"/v1/verdicts/{_part(verdict_id)}", Verdict)


def evidence(verdict_id: Id) -> Call[Evidence]:
    """What a verdict rests on, but for the predictions."""
    return _get(f"/v1/verdicts/{_part(verdict_id)}/evidence", Evidence)


def predictions_request(verdict_id: Id, media: str) -> Request:
    """Every prediction behind a verdict, to be streamed."""
    if media not in MEDIA_TYPES:
        msg = f"predictions come as {', '.join(MEDIA_TYPES)}, not as {media!r}"
        raise ValueError(msg)
    return Request("GET", f"/v1/verdicts/{_part(verdict_id)}/predictions", headers={"Accept": MEDIA_TYPES[media]})


def claims(paper_id: str, *, limit: int | None = None) -> Call[Page[Claim]]:
    """The claims of a paper, in the order they were registered."""
    return _list(f"{_paper(paper_id)}/claims", {}, Page[Claim], limit)


def claim(claim_id: Id) -> Call[Claim]:
    """One claim."""
    return _get(f"/v1/claims/{_part(claim_id)}", Claim)


def drivers(*, limit: int | None = None) -> Call[Page[Driver]]:
    """The catalogue of drivers, by slug."""
    return _list("/v1/drivers", {}, Page[Driver], limit)


def driver(slug: str) -> Call[Driver]:
    """One driver with its whole specification."""
    return _get(f"/v1/drivers/{_part(slug)}", Driver)


def reproductions(
    *, paper: str | None = None, state: str | None = None, kind: str | None = None, limit: int | None = None
) -> Call[Page[Reproduction]]:
    """Runs, newest first."""
    return _list("/v1/reproductions", {"paper": paper, "state": state, "kind": kind}, Page[Reproduction], limit)


def reproduction(reproduction_id: Id, *, wait_s: int = 0) -> Call[Reproduction]:
    """One run. With `wait_s`, at most 30, the service answers when it has ended, or after so many seconds."""
    call = _get(_run(reproduction_id), Reproduction)
    if not wait_s:
        return call
    asked = replace(call.request, headers={"Prefer": f"wait={wait_s}"}, timeout_s=wait_s + 30.0)
    return replace(call, request=asked)


def events_request(reproduction_id: Id, last_event_id: str | None) -> Request:
    """The server-sent events of a run, from the event after the named one on."""
    headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
    headers |= {"Last-Event-ID": last_event_id} if last_event_id else {}
    return Request("GET", f"{_run(reproduction_id)}/events", headers=headers, timeout_s=EVENTS_TIMEOUT_S)


def request_reproduction(
    paper_id: str, wanted: Mapping[str, object], idempotency_key: str | None
) -> Call[Reproduction]:
    """Ask for a run. What is None in `wanted` is left to the service's defaults."""
    body = {
        name: str(value) if isinstance(value, UUID) else value for name, value in wanted.items() if value is not None
    }
    headers = {IDEMPOTENCY: idempotency_key or str(uuid4())}
    return _post(f"{_paper(paper_id)}/reproductions", Reproduction, body, headers)


def cancel(reproduction_id: Id) -> Call[Reproduction]:
    """Cancel a run; its worker stops at its next heartbeat."""
    return _post(f"{_run(reproduction_id)}/cancel", Reproduction)


def import_paper(arxiv_id: str) -> Call[PaperDocument]:
    """Have the service fetch the paper's metadata from arXiv, and register the paper or bring it up to date."""
    return _post(f"{_paper(arxiv_id)}/import", PaperDocument)


def import_document(document: bytes | str) -> Call[DocumentImported]:
    """Bring in a paper document of another service with its verdicts, ids and times kept; takes the scope `admin`.

    It is sent as it is, so that numbers keep their printed digits. Doing so twice is fine.
    """
    content = document.encode() if isinstance(document, str) else document
    headers = {"Content-Type": "application/json", IDEMPOTENCY: str(uuid4())}
    return Call(Request("POST", "/v1/papers:import", headers=headers, content=content), _reader(DocumentImported))


def import_claims(
    paper_id: str,
    content: bytes,
    media: str,
    *,
    force: bool = False,
    unit: str | None = None,
    metric: str | None = None,
) -> Call[ClaimsImported]:
    """Register the claims of a file, all of them or none: `text/csv`, `text/markdown` or `application/yaml`.

    Of a model card, `unit` says what its values are, and `metric` which of them are read.
    """
    asked = {"force": force or None, "unit": unit, "metric": metric}
    params = {name: _word(value) for name, value in asked.items() if value is not None}
    headers = {"Content-Type": media, IDEMPOTENCY: str(uuid4())}
    request = Request("POST", f"{_paper(paper_id)}/claims:import", params, headers, content=content)
    return Call(request, _reader(ClaimsImported))


def batch_get(ids: Sequence[str]) -> Call[list[BatchItem]]:
    """Up to 200 paper documents at once, in this order; for those that are not there, why."""
    # It changes nothing; the key only says that it may be sent again.
    call = _post("/v1/papers:batchGet", Batch, {"ids": list(ids)}, {IDEMPOTENCY: str(uuid4())})
    return Call(call.request, lambda response: call.parse(response).items)


def audit(subject: str | None = None, *, limit: int | None = None) -> Call[Page[AuditEntry]]:
    """Who changed what, newest first; takes a key with the scope `admin`."""
    return _list("/v1/audit", {"subject": subject}, Page[AuditEntry], limit)


def webhooks(*, limit: int | None = None) -> Call[Page[Webhook]]:
    """The webhooks that the key may see, newest first."""
    return _list("/v1/webhooks", {}, Page[Webhook], limit)


def register_webhook(url: str, events: Sequence[str] = (), *, description: str | None = None) -> Call[WebhookCreated]:
    """Have events brought to an address; all there are, where none is named. The secret is shown this once."""
    wanted: dict[str, Any] = {"url": url, "events": list(events) or None, "description": description}
    body = {name: value for name, value in wanted.items() if value is not None}
    return _post("/v1/webhooks", WebhookCreated, body, {IDEMPOTENCY: str(uuid4())})


def remove_webhook(webhook_id: Id) -> Call[Webhook]:
    """Remove a webhook with all that it was told; it, as it was last."""
    return Call(Request("DELETE", f"/v1/webhooks/{_part(webhook_id)}"), _reader(Webhook))


def _get(path: str, model: type[Model]) -> Call[Model]:
    return Call(Request("GET", path), _reader(model))


def _list(path: str, asked: Mapping[str, object], model: type[Model], limit: int | None) -> Call[Model]:
    params = {name: _word(value) for name, value in asked.items() if value is not None}
    return Call(Request("GET", path, params), _reader(model), limit)


def _post(
    path: str, model: type[Model], body: Json | None = None, headers: Mapping[str, str] | None = None
) -> Call[Model]:
    return Call(Request("POST", path, headers=headers or {}, json=body), _reader(model))


def _reader(model: type[Model]) -> Callable[[Response], Model]:
    return lambda response: model.model_validate_json(response.body)


def _word(value: Any) -> str:  # noqa: ANN401  # a parameter of any type
    return str(value).lower() if isinstance(value, bool) else str(value)


def _paper(paper_id: str) -> str:
    return f"/v1/papers/{quote(paper_id, safe='/:')}"


def _run(reproduction_id: Id) -> str:
    return f"/v1/reproductions/{_part(reproduction_id)}"


def _part(value: Id) -> str:
    return quote(str(value), safe="")
