"""Both clients against a real service."""

import io
import json
from collections.abc import Iterator
from uuid import UUID

import httpx
import pyarrow.parquet as pq
import pytest

from app.access.scopes import Scope
from app.client import Client, InvalidError, KeyRefusedError, NotFoundError
from app.client.models import Reproduction
from tests.api.helpers import NOBODY
from tests.client.both import client_of
from tests.client.conftest import World
from tests.factories.keys import make_key
from tests.factories.runs import ask

PAPER = "2101.00001"


@pytest.fixture
def client(way: str, world: World) -> Iterator[Client]:
    with client_of(way, world.url, world.key) as client:
        yield client


def test_a_run_from_its_asking_to_its_verdict_and_every_prediction(client: Client, world: World) -> None:
    seen: list[Reproduction] = []
    worker = world.worker()

    def note(run: Reproduction) -> None:
        if not seen:
            worker.start()  # nobody took it before it was seen
        seen.append(run)

    run = client.reproduce(PAPER, driver="tiny", force=True, wait=True, on_progress=note)
    worker.join()
    assert (seen[0].state, seen[-1]) == ("queued", run)
    assert (run.state, run.progress.done, run.progress.correct) == ("succeeded", 12, 9)

    verdict = client.verdict_of(run)
    assert verdict.estimate is not None
    assert (verdict.status, verdict.estimate.reported, verdict.score) == ("reproduced", 0.75, 0.75)
    assert client.verdict(verdict.id) == verdict
    assert next(client.verdicts(PAPER, is_current=True)).id == verdict.id
    assert next(client.verdicts(limit=1)).id == verdict.id
    document = client.paper(PAPER)
    assert document.verdict is not None
    assert document.verdict.id == verdict.id
    evidence = client.evidence(verdict.id)
    assert evidence.decision == verdict.estimate
    assert [one.correct for one in client.predictions(verdict.id)] == [row not in {9, 10, 11} for row in range(12)]
    table = pq.read_table(io.BytesIO(b"".join(client.prediction_bytes(verdict.id))))
    assert table.column("correct").to_pylist().count(True) == 9


def test_what_there_is_to_read(client: Client, world: World) -> None:
    assert [one.arxiv_id for one in client.papers("title")] == [PAPER]
    (claim,) = client.claims(PAPER)
    assert client.claim(claim.id) == claim
    assert (claim.is_headline, claim.drivers) == (True, ["tiny"])
    (driver,) = client.drivers()
    assert client.driver("tiny") == driver
    assert driver.claim_id == world.subject.claim_id
    first, second, third = client.batch_get([PAPER, "2111.99999", "nonsense"])
    assert first.document == client.paper(f"{PAPER}v1")
    assert second.problem is not None
    assert third.problem is not None
    assert (second.problem.code, third.problem.code) == ("paper_not_found", "paper_id_malformed")
    assert next(client.audit(f"papers/{PAPER}")).subject == f"papers/{PAPER}"


def test_a_second_look_is_answered_with_304(client: Client) -> None:
    client.drivers(limit=1)
    first = next(client.drivers())
    kept = client.context.cache
    assert len(kept) == 1
    assert next(client.drivers()) == first


def test_a_run_is_cancelled(client: Client, world: World) -> None:
    run_id = ask(world.database, world.subject, force=True)
    assert client.reproduction(run_id).state == "queued"
    assert run_id in {one.id for one in client.reproductions(paper=PAPER, state="queued")}
    assert client.cancel(run_id).state == "cancelled"
    assert client.wait_for(run_id).state == "cancelled"


def test_refusals_carry_what_the_service_says(client: Client, way: str, world: World) -> None:
    with pytest.raises(NotFoundError) as absent:
        client.verdict(NOBODY)
    assert absent.value.code == "verdict_not_found"
    assert absent.value.request_id
    with pytest.raises(InvalidError) as invalid:
        client.reproduce(PAPER, priority=10)
    assert list(invalid.value.by_field) == ["body.priority"]
    with client_of(way, world.url) as nobody, pytest.raises(KeyRefusedError) as keyless:
        nobody.reproduce(PAPER)
    assert keyless.value.code == "key_required"
    reader = make_key(world.database, Scope.read).key
    with client_of(way, world.url, reader) as other, pytest.raises(KeyRefusedError) as forbidden:
        other.reproduce(PAPER)
    assert forbidden.value.code == "scope_missing"


def test_a_text_is_what_the_service_sends(client: Client, world: World) -> None:
    from app.client import calls  # noqa: PLC0415

    assert client.text(calls.paper(PAPER)) == httpx.get(f"{world.url}/v1/papers/{PAPER}").text
    assert UUID(json.loads(client.text(calls.drivers()))["items"][0]["claim_id"])
