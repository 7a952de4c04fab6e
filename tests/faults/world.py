"""A whole service of real processes, whose parts can be killed, stopped and brought back one by one."""

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from uuid import UUID

import httpx
import psycopg
from sqlalchemy.exc import OperationalError

from app.catalogue.load import load_catalogue
from app.cli.devices import worker_services
from app.core.db import Database
from app.core.migrate import upgrade
from app.core.queue import Doorbell, make_celery
from app.core.settings import Settings
from app.embedded import EmbeddedServers
from app.models import Reproduction
from tests.factories.keys import make_key
from tests.factories.ports import free_port
from tests.faults.holds import install_holds
from tests.faults.processes import PATIENCE_S, Process, Zygote, wait_for
from tests.faults.watch import Watch

RESCORED: Final = "2004.13606"
"""The paper whose claims are re-scored from released predictions: no model, less than a second a run."""
MINILM: Final = "draft:minilm-l6-nli-adapter"
MINILM_DRIVER: Final = "minilm-mnli-full"

QUICK: Final = {
    "VERDICTS_QUEUE__LEASE_S": "3",
    "VERDICTS_QUEUE__HEARTBEAT_S": "0.1",
    "VERDICTS_QUEUE__SWEEP_S": "0.25",
    "VERDICTS_QUEUE__RING_AGAIN_S": "1",
    "VERDICTS_QUEUE__BACKOFF_S": "0.1",
    "VERDICTS_QUEUE__BACKOFF_MOST_S": "2",
    "VERDICTS_QUEUE__MAX_ATTEMPTS": "8",
    "VERDICTS_DATABASE_IDLE_S": "3",
    "VERDICTS_ACCESS__WRITES_PER_MINUTE": "60000",
    "VERDICTS_ACCESS__WRITES_PER_MINUTE_ADDRESS": "60000",
    "VERDICTS_ACCESS__QUOTA_RUNS": "10000",
}
"""The same machinery at a quicker pace than a service has, so that nobody waits half a minute for a lease, and no limit
on the one client."""


@dataclass(frozen=True)
class Order:
    """A run that was accepted: answered with 202."""

    id: UUID
    seconds: float
    """From the request to the answer."""


class World:
    """Postgres, Valkey, an API and any number of workers, on a data folder of their own."""

    def __init__(self, folder: Path, settings: Mapping[str, str] = QUICK) -> None:
        self._folder, self._settings = folder, settings
        self._stack = ExitStack()
        self._api: Process | None = None
        self._started: list[Process] = []
        self.port = free_port()
        self.accepted: list[Order] = []

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            # Durable: what is committed has to survive the kill of Postgres.
            urls = stack.enter_context(EmbeddedServers(self._folder))
            self.redis_url = urls.redis_url
            upgrade(urls.database_url)
            self.database = Database(urls.database_url, pool_size=4)
            stack.callback(self.database.close)
            with self.database.unit_of_work() as session:
                load_catalogue(session, Settings().catalogue_dir)
                install_holds(session)
            self._signed = {"Authorization": f"Bearer {make_key(self.database).key}"}
            self.dsn = urls.dsn
            logs = self._folder / "processes"
            logs.mkdir(exist_ok=True)
            self.environment = {
                "VERDICTS_DATABASE_URL": urls.database_url,
                "VERDICTS_REDIS_URL": urls.redis_url,
                "VERDICTS_DATA_DIR": str(self._folder),
                "VERDICTS_DEVICE": "cpu",
                **self._settings,
            }
            self._zygote = stack.enter_context(Zygote(logs, {**without_ours(), **self.environment}))
            self.watch = stack.enter_context(Watch(urls.database_url))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    # --- processes

    def worker(self, name: str = "worker", **settings: str) -> Process:
        """A worker that has begun to listen for the bell."""
        process = self.start_worker(name, **settings)
        wait_for(f"{name} is ready", lambda: any("ready." in str(line.get("event")) for line in process.lines()))
        return process

    def start_worker(self, name: str = "worker", **settings: str) -> Process:
        """A worker, just started."""
        argv = list(worker_services("cpu", {})[0].argv[2:])
        argv[argv.index("--hostname") + 1] = f"{name}@%h"
        process = self._zygote.start(name, argv, settings)
        self._started.append(process)
        return process

    def api(self) -> Process:
        """The API, started where it does not run; returns once it answers."""
        api = self.start_api()
        wait_for("the API answers", self._answers)
        return api

    def start_api(self) -> Process:
        """The API, just started where it does not run."""
        if self._api is None or not self._api.alive():
            self._api = self._zygote.start("api", ["verdicts", "api", "--port", str(self.port)], {})
        return self._api

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.base}/healthz", timeout=5).is_success
        except httpx.HTTPError:
            return False

    def end_workers(self) -> None:
        """Kill whatever worker is left."""
        for process in self._started:
            if process.alive():
                process.kill()
        self._started.clear()

    @property
    def base(self) -> str:
        """Where the API answers."""
        return f"http://127.0.0.1:{self.port}"

    def server_pid(self, name: str) -> int:
        """The process of `postgres` or `valkey`."""
        path = {"postgres": "postgres/postmaster.pid", "valkey": "valkey.pid"}[name]
        return int((self._folder / path).read_text().split("\n", 1)[0])

    def kill_server(self, name: str) -> None:
        """SIGKILL; its supervisor starts it again."""
        with suppress(ProcessLookupError):
            os.kill(self.server_pid(name), signal.SIGKILL)

    @contextmanager
    def standing_still(self, pid: int) -> Iterator[None]:
        """Within it the process is stopped: it neither answers nor ends its connections."""
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    # --- clients

    def post(self, paper: str, **body: Any) -> httpx.Response:  # noqa: ANN401  # fields of the schema
        """Ask for a run; whatever the answer."""
        path = f"/v1/papers/{paper}/reproductions"
        return httpx.post(self.base + path, json=body, headers=self._signed, timeout=PATIENCE_S)

    def change(self, paper: str, **fields: Any) -> httpx.Response:  # noqa: ANN401  # as above
        """Change a paper; whatever the answer."""
        return httpx.patch(f"{self.base}/v1/papers/{paper}", json=fields, headers=self._signed, timeout=PATIENCE_S)

    def cancel(self, run_id: UUID) -> None:
        """Cancel a run that waits."""
        path = f"/v1/reproductions/{run_id}/cancel"
        answer = httpx.post(self.base + path, headers=self._signed, timeout=PATIENCE_S)
        assert answer.json()["state"] == "cancelled", answer.text

    def ask(self, driver: str, paper: str = RESCORED, **body: Any) -> UUID:  # noqa: ANN401  # as above
        """Ask for a run that has to be accepted; its id."""
        began = time.monotonic()
        answer = self.post(paper, driver=driver, force=True, **body)
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text
        self.accepted.append(Order(UUID(answer.json()["id"]), time.monotonic() - began))
        return self.accepted[-1].id

    def ask_minilm(self, size: int, **body: Any) -> UUID:  # noqa: ANN401  # as above
        """Ask for a run that takes a model, for so many examples."""
        return self.ask(MINILM_DRIVER, MINILM, slice_size=size, **{"kind": "PRE", **body})

    def ring(self, run_id: UUID, times: int = 1) -> None:
        """Ring the bell as anybody may."""
        doorbell = Doorbell(make_celery(self.redis_url))
        for _ in range(times):
            doorbell.ring(str(run_id))
        doorbell.close()

    # --- what is stored

    def run(self, run_id: UUID) -> Reproduction:
        """The run's row, also where Postgres is just being restarted."""
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                with self.database.unit_of_work() as session:
                    return session.get_one(Reproduction, run_id)
            except OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)

    def until(self, run_id: UUID, *states: str) -> Reproduction:
        """The run's row, once it is in one of these states; in any that is terminal, where none is named."""

        def reached() -> bool:
            state = self.run(run_id).state
            return state.value in states if states else state.done

        wait_for(f"run {run_id} is {' or '.join(states) or 'done'}", reached, 2 * PATIENCE_S)
        return self.run(run_id)

    def until_predicted(self, run_id: UUID) -> Reproduction:
        """The run's row, once predictions are stored."""
        wait_for(f"run {run_id} has predictions", lambda: self.run(run_id).progress_done > 0)
        return self.run(run_id)

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection]:
        """A connection of the test's own."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            yield connection

    def check(self) -> None:
        """Nothing accepted is lost, each success has one verdict, and no reader ever saw what must not be."""
        self.watch.look_once_more()
        assert self.watch.wrong == []
        states = self.watch.states()
        assert [one.id for one in self.accepted if one.id not in states] == []


def without_ours() -> dict[str, str]:
    """Our environment, without settings of the service."""
    return {name: value for name, value in os.environ.items() if not name.startswith("VERDICTS_")}
