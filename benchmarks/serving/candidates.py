"""What is compared: the service in several shapes, its limit, and its peers, each a server of its own."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import httpx
import psycopg

from app.catalogue.import_document import import_document, parse_document
from app.core.db import Database
from app.core.migrate import upgrade
from app.embedded import EmbeddedServers
from app.embedded.postgres import plain_dsn
from serving.peers import datasette, nginx
from serving.servers import Server, api, free_port, ours, ready, running, uvicorn
from tests.factories.growth import Size, grow

GOLDEN: Final = Path(__file__).parents[2] / "tests" / "golden" / "paper-2111.09543.json"
DOCUMENT: Final = "/v1/papers/2111.09543"
PLAIN: Final = {"Accept-Encoding": "identity"}
COLD_PAPERS: Final = 5000
PLAIN_ROUTE: Final = "/v1/verdicts/00000000-0000-7000-8000-000000000000"


class Candidate(NamedTuple):
    """Something that is asked."""

    name: str
    server: Server
    paths: list[str]
    headers: dict[str, str]
    goal: str = ""


class Bench:
    """The embedded database with its papers, and the servers on it; all of it ends with the stack."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack, self._folder = stack, folder
        servers = stack.enter_context(EmbeddedServers(folder / "data", durable=False))
        self.cold_paths: Final = _fill(servers.database_url)
        self._settings: Final = {
            "VERDICTS_DATABASE_URL": servers.database_url,
            "VERDICTS_REDIS_URL": servers.redis_url,
            "VERDICTS_ACCESS__REQUESTS_PER_MINUTE": "100000000",  # counted, and never reached
        }

    def start(self, name: str, command: Callable[[int], list[str]], path: str = DOCUMENT, **more: str) -> Server:
        """A server that answers. One after the other: each takes seconds of CPU to start."""
        port = free_port()
        print(f"starting {name}", flush=True)
        server = running(name, command(port), port, path, {**self._settings, **more})
        return ready(self._stack.enter_context(server))

    def candidates(self) -> list[Candidate]:
        """All of them, started."""
        shipped = self.start("shipped", api)
        answer = httpx.get(f"http://127.0.0.1:{shipped.port}{DOCUMENT}", headers=PLAIN)
        held = {**PLAIN, "If-None-Match": answer.headers["etag"]}
        return [*self._limits(answer), *self._service(shipped, held), *self._peers(answer.content)]

    def _limits(self, answer: httpx.Response) -> list[Candidate]:
        (self._folder / "body").write_bytes(answer.content)
        (self._folder / "nothing").touch()
        lines = [f"{name}: {value}" for name, value in answer.headers.items() if name not in {"date", "server"}]
        whole = {"BENCH_BODY": str(self._folder / "body"), "BENCH_HEADERS": "\n".join(lines)}
        fewer = "\n".join(line for line in lines if not line.startswith("content-"))
        empty = {"BENCH_BODY": str(self._folder / "nothing"), "BENCH_HEADERS": fewer, "BENCH_STATUS": "304"}
        bare = partial(uvicorn, "serving.apps:bare")
        return [
            Candidate("bare", self.start("bare", bare, **whole), [DOCUMENT], PLAIN),
            Candidate("bare 304", self.start("bare 304", bare, **empty), [DOCUMENT], PLAIN),
        ]

    def _service(self, shipped: Server, held: dict[str, str]) -> list[Candidate]:
        stock = self.start("stock uvicorn", partial(uvicorn, "app.main:serve"))
        unobserved = self.start("unobserved", partial(ours, "unobserved"))
        cold = self.start("cold", api, VERDICTS_SERVING__CACHE_BYTES="0")
        plain = self.start("plain", partial(ours, "plain_route"))
        usual = self.start("usual", partial(uvicorn, "serving.apps:usual"))
        return [
            Candidate("hot 200", shipped, [DOCUMENT], PLAIN, ">= 0.85"),
            Candidate("hot 304", shipped, [DOCUMENT], held, ">= 1.3"),
            Candidate("hot 200, unobserved", unobserved, [DOCUMENT], PLAIN),
            Candidate("hot 304, unobserved", unobserved, [DOCUMENT], held),
            Candidate("hot 200, stock uvicorn", stock, [DOCUMENT], PLAIN),
            Candidate("hot 304, stock uvicorn", stock, [DOCUMENT], held),
            Candidate("cold: one document row", cold, self.cold_paths, PLAIN, ">= 0.30"),
            Candidate("a route, its SQL left out", plain, [PLAIN_ROUTE], PLAIN, ">= 0.25"),
            Candidate("/healthz", shipped, ["/healthz"], PLAIN, ">= 0.25"),
            Candidate("usual: ORM, response model", usual, [DOCUMENT], PLAIN, "we are >= 30 x"),
        ]

    def _peers(self, body: bytes) -> list[Candidate]:
        found = []
        for name, make, path in (
            ("nginx, static file", nginx, "/document.json"),
            ("Datasette row", datasette, "/papers/papers/p.json?_shape=array"),
        ):
            place = self._folder / name.split()[0].strip(",")
            place.mkdir()
            command = make(place, body)
            if command is None:
                print(f"{name}: not to be had here", flush=True)
            else:
                found.append(Candidate(name, self.start(name, command, path), [path], PLAIN))
        return found


def _fill(database_url: str) -> list[str]:
    """Papers, and the golden one; the addresses of those that are asked for in turn."""
    upgrade(database_url)
    grow(plain_dsn(database_url), Size(papers=COLD_PAPERS, history=10))
    database = Database(database_url)
    with database.unit_of_work() as session:
        import_document(session, parse_document(GOLDEN.read_text(encoding="utf-8")))
    database.close()
    with psycopg.connect(plain_dsn(database_url)) as connection:
        # All documents of one size, whichever is asked for.
        connection.execute(
            "UPDATE paper_documents SET body = golden.body FROM paper_documents golden "
            "JOIN papers ON papers.id = golden.paper_id WHERE papers.arxiv_id = '2111.09543'"
        )
        listed = connection.execute("SELECT arxiv_id FROM papers ORDER BY arxiv_id LIMIT %s", [COLD_PAPERS]).fetchall()
    return [f"/v1/papers/{arxiv_id}" for (arxiv_id,) in listed]
