"""What mypy makes of both clients. Nothing here runs: deploy/test.sh has mypy check every line of it."""

from collections.abc import AsyncIterator, Iterator
from typing import assert_type
from uuid import UUID

from app.client import AsyncClient, Client
from app.client.models import (
    AuditEntry,
    BatchItem,
    Claim,
    ClaimsImported,
    DocumentImported,
    Driver,
    Evidence,
    PaperDocument,
    PaperSummary,
    Prediction,
    Reproduction,
    Verdict,
    Webhook,
    WebhookCreated,
)


def waiting(client: Client, some: UUID) -> None:
    assert_type(client.paper("2111.09543"), PaperDocument)
    assert_type(client.papers("words", limit=5), Iterator[PaperSummary])
    assert_type(client.batch_get(["2111.09543"]), list[BatchItem])
    assert_type(client.claims("2111.09543"), Iterator[Claim])
    assert_type(client.import_claims("2111.09543", b"", "text/csv", force=True), ClaimsImported)
    assert_type(client.import_document("{}"), DocumentImported)
    assert_type(client.drivers(), Iterator[Driver])
    assert_type(client.evidence(some), Evidence)
    assert_type(client.predictions(some), Iterator[Prediction])
    assert_type(client.prediction_bytes(some, "csv"), Iterator[bytes])
    run = client.reproduce("2111.09543", wait=True, on_progress=lambda run: print(run.progress.done))  # noqa: T201
    assert_type(run, Reproduction)
    assert_type(client.updates(run.id), Iterator[Reproduction])
    assert_type(client.verdict_of(run), Verdict)
    assert_type(client.audit(limit=1), Iterator[AuditEntry])
    assert_type(client.register_webhook("https://example.org/", ["verdict.issued"]), WebhookCreated)
    assert_type(client.webhooks(), Iterator[Webhook])


async def awaiting(client: AsyncClient, some: UUID) -> None:
    assert_type(await client.paper("2111.09543"), PaperDocument)
    assert_type(client.papers(), AsyncIterator[PaperSummary])
    assert_type(await client.wait_for(some), Reproduction)
    assert_type(client.predictions(some), AsyncIterator[Prediction])


def misused(client: Client) -> None:
    """Each ignore is needed, or mypy says so: it is told what is wrong."""
    client.paper(2111)  # type: ignore[arg-type]
    client.papers(limits=5)  # type: ignore[call-arg]
    client.paper("2111.09543").papers  # type: ignore[attr-defined]  # noqa: B018
