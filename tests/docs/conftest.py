"""One real service for all pages: the shipped catalogue, a worker, and `verdicts` on the PATH."""

import json
import os
import shutil
import socketserver
import stat
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg
import pytest

from app.catalogue.load import load_catalogue
from app.core.settings import ArxivSettings, QueueSettings, Settings, WebhookSettings
from app.embedded import ServerUrls
from app.exports.signing import create_key
from app.papers import endpoints
from app.papers.arxiv import parse_feed
from app.papers.ids import PaperRef
from app.papers.schemas import PaperPut
from tests.factories.databases import copied, opened
from tests.factories.forks import Forks
from tests.factories.keys import make_key
from tests.factories.runs import Bell
from tests.factories.threaded import served_here

QUEUE = QueueSettings(shutdown_s=0)
COLUMNS = 100
"""Of the terminal that the pages show the output of."""
RECEIVER = "https://127.0.0.1:9/verdicts"
"""A webhook's address that nobody listens at."""
ARXIV = b"""<feed xmlns="http://www.w3.org/2005/Atom"><title>ArXiv Query</title><entry>
<id>http://arxiv.org/abs/2004.13606v2</id><published>2020-04-28T15:58:10Z</published>
<title>The Curse of Performance Instability in Analysis Datasets: Consequences, Source, and Suggestions</title>
<summary>We find that the performance of state-of-the-art models can be highly unstable.</summary>
</entry></feed>"""
"""What arXiv says of the catalogue's paper, in short: the tests reach no other host."""
SHIM = f"""#!{sys.executable} -SE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as link:
    link.connect(os.environ["VERDICTS_FORKS"])
    text = "" if sys.stdin.isatty() or "-" not in sys.argv else sys.stdin.read()
    order = {{"argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd(), "text": text}}
    link.sendall(json.dumps(order).encode() + b"\\n")
    said = json.loads(link.makefile().read())
sys.stdout.write(said["out"])
sys.stderr.write(said["err"])
sys.exit(said["code"])
"""


@contextmanager
def _commands(folder: Path, forks: Forks) -> Iterator[Path]:
    """A folder with the command `verdicts`, which has a process forked that has imported everything already."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            order = json.loads(self.rfile.readline())
            done = forks.run(order["argv"], order["env"], Path(order["cwd"]), order["text"])
            said = {"code": done.returncode, "out": done.stdout, "err": done.stderr}
            self.wfile.write(json.dumps(said).encode())

    path = folder / "bin"
    path.mkdir()
    (path / "verdicts").write_text(SHIM)
    (path / "verdicts").chmod(stat.S_IRWXU)
    with socketserver.UnixStreamServer(str(folder / "forks"), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield path
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def _worker(settings: Settings, url: str) -> Iterator[None]:
    """A worker's loop in a thread; the catalogue's released predictions need no PyTorch."""
    from workers.context import WorkerContext  # noqa: PLC0415  # only where the worker's libraries are
    from workers.tasks.reproduce import reproduce_next  # noqa: PLC0415

    with opened(url) as database:
        context = WorkerContext(settings, database, Bell())

        def work() -> None:
            while not context.stopping.is_set():
                if not reproduce_next(context):
                    context.stopping.wait(0.05)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            context.ask_to_stop()
            thread.join()


@dataclass
class Site:
    """Where the pages' commands run, and the environment that goes on from block to block."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def add_driver(self, text: str) -> None:
        """Put a driver that a page shows into the catalogue, where the page says that it goes."""
        if slug := tomllib.loads(text).get("slug"):
            (self.folder / "catalogue" / "drivers" / f"{slug}.toml").write_text(text, encoding="utf-8")


def _first_verdict(address: str, key: str) -> None:
    """What a first start has measured by the time that its user goes on; as much of it as the pages show."""
    asked = {"driver": "bert-base-mnli-seed01-matched"}
    with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {key}"}, timeout=60) as client:
        run = client.post("/v1/papers/2004.13606/reproductions", json=asked).raise_for_status()
        waited = {"Prefer": "wait=30"}
        while not (ended := client.get(run.headers["location"], headers=waited).raise_for_status().json())["done"]:
            pass
    assert ended["state"] == "succeeded", ended


def _asked_of_arxiv(ref: PaperRef, _settings: ArxivSettings) -> PaperPut:
    return parse_feed(ARXIV, ref)


@pytest.fixture(scope="session")
def site(
    servers: ServerUrls,
    maintenance: psycopg.Connection,
    template_database: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """A service that answers at $SERVER."""
    folder = tmp_path_factory.mktemp("pages")
    create_key(folder / "service.pem")
    with (
        copied(servers, maintenance, template_database) as url,
        opened(url) as database,
        Forks() as forks,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(endpoints, "fetch_metadata", _asked_of_arxiv)
        settings = Settings(
            database_url=url,
            redis_url=servers.redis_url,
            log_level="ERROR",
            data_dir=folder,
            catalogue_dir=Path(shutil.copytree(Settings().catalogue_dir, folder / "catalogue")),
            queue=QUEUE,
            signing_key_file=folder / "service.pem",
            webhooks=WebhookSettings(allow_private=True),
        )
        with database.unit_of_work() as session:
            load_catalogue(session, settings.catalogue_dir)
        with served_here(settings) as address, _commands(folder, forks) as path, _worker(settings, url):
            _first_verdict(address, make_key(database).key)
            environment = {
                "HOME": str(folder),
                "PATH": f"{path}:{Path(sys.executable).parent}:{os.environ['PATH']}",
                "PYTHONWARNINGS": "error",
                "SERVER": address,
                "RECEIVER": RECEIVER,
                "VERDICTS_DATABASE_URL": url,
                "VERDICTS_REDIS_URL": servers.redis_url,
                "VERDICTS_FORKS": str(folder / "forks"),
                "VERDICTS_DATA_DIR": str(folder),
                "VERDICTS_CATALOGUE_DIR": str(settings.catalogue_dir),
                "COLUMNS": str(COLUMNS),
            }
            yield Site(folder, environment)
