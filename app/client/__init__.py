"""A client of the service, for Python: typed, waiting (`Client`) and awaiting (`AsyncClient`).

    with Client("http://127.0.0.1:8000", key) as client:
        run = client.reproduce("2004.13606", driver="bert-base-mnli-seed01-matched", wait=True)
        print(client.verdict_of(run).status)

It imports nothing of the service, no database and no framework: docs/decisions/0021.
"""

from app.client.client import AsyncClient, Client
from app.client.errors import (
    ClientError,
    ConflictError,
    InvalidError,
    KeyRefusedError,
    LostSightError,
    NotFoundError,
    NoVerdictError,
    ProblemError,
    TooManyRequestsError,
    UnavailableError,
    UnexpectedAnswerError,
    UnreachableError,
)
from app.client.patience import Outage
from app.client.retries import Retries

__all__ = [
    "AsyncClient",
    "Client",
    "ClientError",
    "ConflictError",
    "InvalidError",
    "KeyRefusedError",
    "LostSightError",
    "NoVerdictError",
    "NotFoundError",
    "Outage",
    "ProblemError",
    "Retries",
    "TooManyRequestsError",
    "UnavailableError",
    "UnexpectedAnswerError",
    "UnreachableError",
]
