"""The tables, one noun a file. Importing this package registers them all."""

from app.models.access import ApiKey, AuditEntry
from app.models.base import Base
from app.models.claim import Claim
from app.models.driver import Driver
from app.models.event import Event
from app.models.evidence import Evidence, Prediction
from app.models.idempotency import IdempotencyKey
from app.models.paper import Paper, PaperAlias, PaperDocument, PaperVersion, PaperWord
from app.models.progress import ProgressPoint
from app.models.reproduction import Reproduction, ReproductionState
from app.models.ring import Ring
from app.models.serving import ServingProcess
from app.models.sweep import SweepCount
from app.models.verdict import Verdict, VerdictKind, VerdictOrigin
from app.models.webhook import DeliveryState, Webhook, WebhookAttempt, WebhookDelivery
from app.models.worker import WorkerProcess

__all__ = [
    "ApiKey",
    "AuditEntry",
    "Base",
    "Claim",
    "DeliveryState",
    "Driver",
    "Event",
    "Evidence",
    "IdempotencyKey",
    "Paper",
    "PaperAlias",
    "PaperDocument",
    "PaperVersion",
    "PaperWord",
    "Prediction",
    "ProgressPoint",
    "Reproduction",
    "ReproductionState",
    "Ring",
    "ServingProcess",
    "SweepCount",
    "Verdict",
    "VerdictKind",
    "VerdictOrigin",
    "Webhook",
    "WebhookAttempt",
    "WebhookDelivery",
    "WorkerProcess",
]
