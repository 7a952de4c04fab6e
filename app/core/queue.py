"""The producer's side of Celery: rings the doorbell of the workers, by task name."""

from typing import Any, Final, cast

import structlog
from celery import Celery

from app.core.broker import PATIENT

REPRODUCE: Final = "verdicts.reproduce"
QUEUE: Final = "reproductions"
REQUEST_PATIENCE_S: Final = 1
"""A request is answered although the broker hangs, and no later than this: the sweep rings again."""
_log = structlog.get_logger(__name__)


def make_celery(redis_url: str, *, patience_s: float = 5) -> Celery:
    """A Celery application on this broker, with the settings that both sides share.

    `patience_s` is how long it waits for an answer of a broker that hangs: a worker longer than a request.

    The reasons stand in docs/decisions/0003: no result backend, short time-outs, no publish retry; the guarantee comes
    from Postgres and a message is a hint.
    """
    celery = Celery("verdicts", broker=redis_url, set_as_current=False)
    celery.conf.update(
        broker_transport=PATIENT,
        task_ignore_result=True,
        result_backend=None,
        task_default_queue=QUEUE,
        task_publish_retry=False,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": 24 * 3600,
            "socket_timeout": patience_s,
            "socket_connect_timeout": 1,
            "health_check_interval": 10,
            "max_retries": 0,
            "unacked_restore_interval": 5,
            "unacked_mutex_expire": 15,
        },
        worker_soft_shutdown_timeout=20,
        worker_proc_alive_timeout=120,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
    )
    return celery


class Doorbell:
    """Tells the workers that a row waits for them."""

    def __init__(self, celery: Celery) -> None:
        self._celery = celery

    def ring(self, reproduction_id: str) -> bool:
        """Send the message. False, and a line in the log, where the broker does not take it: the sweep rings again."""
        try:
            self._celery.send_task(REPRODUCE, args=[reproduction_id], ignore_result=True)
        except Exception as error:  # noqa: BLE001  # kombu lets many libraries' errors through, and none may matter
            _log.warning("doorbell_failed", reproduction_id=reproduction_id, error=type(error).__name__)
            return False
        return True

    def unheard(self) -> int:
        """How many messages no worker has taken yet; 0 where the broker does not answer."""
        try:
            with cast("Any", self._celery.pool).acquire(block=True) as connection:
                return int(connection.default_channel.client.llen(QUEUE))
        except Exception as error:  # noqa: BLE001  # as above
            _log.warning("doorbell_failed", error=type(error).__name__)
            return 0

    def close(self) -> None:
        """Close the connections to the broker."""
        self._celery.close()
