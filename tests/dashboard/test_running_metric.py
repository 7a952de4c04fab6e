"""A run about another metric than accuracy, while it runs: on its page, in the queue, and in its events."""

import json

from app.core.db import Database
from app.dashboard.words import METRIC
from app.reproductions.lease import Beat, heartbeat
from app.reproductions.schemas import RunningEstimate
from app.statistics.metrics import MetricName
from tests.api.helpers import Api, ok
from tests.dashboard.reading import text_of
from tests.factories.drivers import make_subject
from tests.factories.runs import QUEUE, ask, predictions, take


def test_a_run_shows_its_own_metric_while_it_runs(client: Api, database: Database) -> None:
    subject = make_subject(database, metric="mcc", claim={"metric": "mcc"})
    run_id, lease = ask(database, subject), take(database)
    estimate = RunningEstimate(
        metric=MetricName.mcc, value=0.8125, interval_95=(0.4375, 0.96875), method="bayesian_bootstrap"
    )
    report = Beat(stage="inference", done=7, total=12, correct=6, estimate=estimate)
    with database.unit_of_work() as session:
        heartbeat(session, lease, report, predictions(range(7), wrong=[3]), QUEUE)
    page, queue = (text_of(client.get(path).content) for path in (f"/reproductions/{run_id}", "/queue"))
    assert f"{METRIC['mcc']} so far" in page
    assert "81.25" in page
    assert METRIC["mcc"] in queue
    assert "43.75" in queue
    shown = json.loads(estimate.model_dump_json())
    assert ok(client.get(f"/v1/reproductions/{run_id}"))["estimate"] == shown
    told = client.get(f"/v1/reproductions/{run_id}/events").text
    data = [json.loads(line.removeprefix("data: ")) for line in told.splitlines() if line.startswith("data: ")]
    assert data[-1]["estimate"] == shown
