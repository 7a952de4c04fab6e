"""kombu's transport for Redis, with a server that refuses for now taken for one that is away for now."""

from typing import Final

from kombu.transport.redis import Transport
from redis import ResponseError

PATIENT: Final = "app.core.broker:PatientTransport"


class PatientTransport(Transport):
    """A worker tries again, with pauses, for as long as Redis refuses.

    A full disk (MISCONF), a full memory (OOM) and a replica (READONLY) are refusals and no lost connections, and of
    such a one Celery's consumer ends the worker: nobody measured anything until a supervisor gave it another try.
    """

    connection_errors = (*Transport.connection_errors, ResponseError)
