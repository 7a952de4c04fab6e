"""From the request to the verdict, by the API and a worker: runs that stop early, and runs that were broken off."""

import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from app.models import Evidence, Reproduction
from app.statistics.sequential import ConfidenceSequence
from tests.api.helpers import CATALOGUE, Api, ok
from tests.factories.drivers import Table, to_toml
from tests.factories.runs import let_pass
from tests.workers.tasks.fixtures import app, client, context, request_run, settings
from workers.context import WorkerContext
from workers.evaluation.run import Run
from workers.tasks import reproduce
from workers.tasks.heart import Heart
from workers.tasks.reproduce import reproduce_next

__all__ = ["app", "client", "context", "settings"]

pytestmark = pytest.mark.worker

SOURCE = "bert-base-mnli-seed01-matched"
PAPER = "2004.13606"


def driver(**changes: Any) -> Table:  # noqa: ANN401  # tables of a driver's file
    """The shipped driver of released predictions; with a claim of three digits where it may stop early."""
    return tomllib.loads((CATALOGUE / "drivers" / f"{SOURCE}.toml").read_text("utf-8")) | changes


def stopping_driver() -> Table:
    table = driver(slug="stops-early", decision={"margin": 0.02, "early_stopping": True})
    table["protocol"] |= {"data": "probability_slice"}
    return table


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue with the same driver twice: one measures the whole split, one stops early."""
    folder = tmp_path_factory.mktemp("catalogue")
    for name in (
        "papers/2004.13606.toml",
        "data/bert_base_instability.parquet",
        "data/mnli_validation_matched.parquet",
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(CATALOGUE / name, folder / name)
    (folder / "drivers").mkdir()
    for table in (stopping_driver(), driver()):
        (folder / "drivers" / f"{table['slug']}.toml").write_text(to_toml(table), "utf-8")
    return folder


def outcome(client: Api, run_id: str) -> dict[str, Any]:
    """Everything a verdict rests on, but for clocks and ids."""
    run = ok(client.get(f"/v1/reproductions/{run_id}"))
    assert (run["state"], run["error"]) == ("succeeded", None)
    verdict = ok(client.get(f"/v1/verdicts/{run['verdict_id']}"))
    evidence = ok(client.get(f"/v1/verdicts/{run['verdict_id']}/evidence"))
    predictions = client.get(f"/v1/verdicts/{run['verdict_id']}/predictions").text
    return {
        "progress": run["progress"],
        "estimate": run["estimate"],
        "verdict": {name: verdict[name] for name in ("status", "score", "confidence", "estimate", "protocol_axes")},
        "confusion": evidence["confusion"],
        "stopping": evidence["facts"]["stopping"],
        "predictions": predictions,
    }


def test_a_driver_that_may_stop_early_does_and_the_verdict_says_so(client: Api, context: WorkerContext) -> None:
    run_id = request_run(client, PAPER, "stops-early")
    assert reproduce_next(context)
    found = outcome(client, run_id)
    progress, stopping, decision = found["progress"], found["stopping"], found["verdict"]["estimate"]
    n = progress["done"]
    assert 300 < n < progress["total"] == 9815
    assert stopping["stopped_early"]
    assert (stopping["examined"], stopping["planned"], stopping["position"]) == (n, 9815, "inside")
    assert len(found["predictions"].splitlines()) == sum(map(sum, found["confusion"])) == n
    assert found["verdict"]["status"] == "reproduced"
    assert decision["early_stopping"]
    assert decision["interval_method"] == "prior_posterior_ratio"
    interval = ConfidenceSequence(9815, n=n, correct=progress["correct"]).interval
    assert decision["interval_95"] == decision["interval_90"] == [interval.low, interval.high]
    assert decision["standard_error"] is None
    # Looked at while it ran, it showed the same sequence and no Wilson interval.
    assert found["estimate"]["method"] == "prior_posterior_ratio"
    assert found["estimate"]["interval_95"] == [interval.low, interval.high]
    assert found["verdict"]["protocol_axes"]["data"] == "probability_slice"


class _CrashError(BaseException):
    """The end of a worker: nothing that follows it is done."""


def _crash_after(batches: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Run.batches

    def broken(self: Run, *stored: Any) -> Iterator[Any]:  # noqa: ANN401  # as Run.batches
        for number, batch in enumerate(real(self, *stored)):
            if number == batches:
                raise _CrashError
            yield batch

    monkeypatch.setattr(Run, "batches", broken)


def _crash_before_the_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise _CrashError

    monkeypatch.setattr(reproduce, "conclude_run", broken)


def _stored(context: WorkerContext, run_id: str) -> int:
    with context.database.unit_of_work() as session:
        return session.scalars(select(Reproduction.progress_done).where(Reproduction.id == run_id)).one()


@pytest.mark.parametrize("slug", ["stops-early", SOURCE])
def test_a_run_that_goes_on_after_a_crash_has_the_verdict_of_an_uninterrupted_one(
    client: Api, context: WorkerContext, slug: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = request_run(client, PAPER, slug)
    assert reproduce_next(context)
    expected = outcome(client, whole)
    crashed = request_run(client, PAPER, slug)
    with monkeypatch.context() as patched:
        # Every batch stored as it comes, so that the crash leaves some behind.
        patched.setattr(Heart, "add", _add_and_store(Heart.add))
        _crash_after(2, patched)
        with pytest.raises(_CrashError):
            reproduce_next(context)
    assert 0 < _stored(context, crashed) < expected["progress"]["done"]
    let_pass(context.database, crashed, "lease_until")  # type: ignore[arg-type]
    with monkeypatch.context() as patched:
        _crash_before_the_verdict(patched)
        with pytest.raises(_CrashError):
            reproduce_next(context)
    assert _stored(context, crashed) == expected["progress"]["done"]
    let_pass(context.database, crashed, "lease_until")  # type: ignore[arg-type]
    assert reproduce_next(context)
    # Each attempt stored something new before its worker was lost: none of them counts.
    assert ok(client.get(f"/v1/reproductions/{crashed}"))["attempt"] == 1
    assert outcome(client, crashed) == expected
    with context.database.unit_of_work() as session:
        contents = session.scalars(select(Evidence.content)).all()
    assert len(contents) == 2


def _add_and_store(add: Any) -> Any:  # noqa: ANN401  # a method
    def stored(self: Heart, batch: Any) -> None:  # noqa: ANN401  # as Heart.add
        add(self, batch)
        self.beat()

    return stored
