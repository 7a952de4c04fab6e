"""What the service answers, as typed objects. Fields that this version does not know are kept, and are no error."""

from app.client.models.audit import AuditEntry
from app.client.models.claims import Claim, ClaimImported, ClaimsImported
from app.client.models.drivers import Driver
from app.client.models.pages import Page
from app.client.models.papers import (
    Batch,
    BatchItem,
    ClaimCitation,
    DocumentImported,
    DocumentVerdict,
    DocumentVerdicts,
    Paper,
    PaperDocument,
    PaperSummary,
    PaperVersion,
)
from app.client.models.runs import Progress, Reproduction, RunError, RunningEstimate, Slice
from app.client.models.verdicts import Decision, Evidence, Prediction, ProtocolAxes, Verdict
from app.client.models.webhooks import Webhook, WebhookCreated

__all__ = [
    "AuditEntry",
    "Batch",
    "BatchItem",
    "Claim",
    "ClaimCitation",
    "ClaimImported",
    "ClaimsImported",
    "Decision",
    "DocumentImported",
    "DocumentVerdict",
    "DocumentVerdicts",
    "Driver",
    "Evidence",
    "Page",
    "Paper",
    "PaperDocument",
    "PaperSummary",
    "PaperVersion",
    "Prediction",
    "Progress",
    "ProtocolAxes",
    "Reproduction",
    "RunError",
    "RunningEstimate",
    "Slice",
    "Verdict",
    "Webhook",
    "WebhookCreated",
]
