from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.core.db import Database
from app.core.settings import QueueSettings
from app.reproductions.lease import Beat, heartbeat, take_run
from app.verdicts.conclude import conclude_run
from tests.api.helpers import DRAFT_DRIVER, DRIVER, PAPER, Api, Json, counted, ok, refused, unchanged

EXACTLY = "0.91800000000000000000"
"""91.8 % with so many digits that rounding allows nothing."""


def design(**fields: Any) -> Json:  # noqa: ANN401  # fields of the schema
    return {"reported_value": "91.8", "unit": "percent", "population": 9815, **fields}


@pytest.mark.parametrize(("points", "smallest"), [(3, 701), (2, 1449), (1, 3963), (0.5, 7183)])
def test_the_examples_it_takes(client: Api, points: float, smallest: int) -> None:
    body = design(reported_value=EXACTLY, unit="fraction", margin=points / 100)
    answer = ok(client.post("/v1/designs", json=body))
    assert answer["n"] == smallest
    assert 0.8 <= answer["power"] < 0.85
    assert answer == {
        "n": answer["n"],
        "power": answer["power"],
        "population": 9815,
        "estimand": "finite_population",
        "margin": points / 100,
        "rule_version": "1",
        "cost": None,
    }


def test_the_last_printed_digit_widens_the_margin(client: Api) -> None:
    exactly = ok(client.post("/v1/designs", json=design(reported_value=EXACTLY, unit="fraction", margin=0.02)))
    printed = ok(client.post("/v1/designs", json=design(margin=0.02)))
    roughly = ok(client.post("/v1/designs", json=design(reported_value="92", margin=0.02)))
    assert [one["margin"] for one in (exactly, printed, roughly)] == [0.02, 0.0205, 0.025]
    assert exactly["n"] > printed["n"] > roughly["n"]


def test_new_items_are_another_estimand_and_more_power_takes_more(client: Api) -> None:
    finite = ok(client.post("/v1/designs", json=design()))
    new = ok(client.post("/v1/designs", json=design(population=None)))
    surer = ok(client.post("/v1/designs", json=design(power=0.95)))
    assert (new["estimand"], new["population"]) == ("superpopulation", None)
    assert finite["n"] < min(new["n"], surer["n"])
    assert surer["power"] >= 0.95


def test_where_no_size_would_do_there_is_none(client: Api) -> None:
    odd = ok(client.post("/v1/designs", json=design(reported_value="50.0000", population=7, margin=0.001)))
    assert (odd["n"], odd["power"], odd["cost"]) == (None, None, None)


def test_numbers_at_the_end_of_the_scale_do_not_take_longer(client: Api) -> None:
    for value in ("100", "0", "100.00", "0.00"):
        assert ok(client.post("/v1/designs", json=design(reported_value=value, population=20_000)))["n"] > 0


@pytest.mark.usefixtures("catalogue")
def test_the_cost_comes_from_what_earlier_runs_took_and_from_nothing_else(client: Api, database: Database) -> None:
    body = design(driver=DRIVER)
    assert ok(client.post("/v1/designs", json=body))["cost"] is None
    for seconds in (3, 9):
        succeed(client, database, seconds)
    with unchanged(database), counted(database) as statements:
        answer = ok(client.post("/v1/designs", json=body))
    cost = answer["cost"]
    assert (cost["driver"], cost["runs"]) == (DRIVER, 2)
    assert cost["examples_per_second"] == pytest.approx(6 / 12, rel=0.05)
    assert cost["seconds"] == pytest.approx(answer["n"] / cost["examples_per_second"])
    assert len(statements) == 2
    assert ok(client.post("/v1/designs", json=design(driver=DRAFT_DRIVER)))["cost"] is None


def succeed(client: Api, database: Database, seconds: int) -> None:
    """Have a run of three examples succeed that took so long."""
    run = ok(client.post(f"/v1/papers/{PAPER}/reproductions", json={"slice_size": 3}), 202)
    rows = [{"row": i, "item_id": str(i), "gold": i, "predicted": i, "logits": None} for i in range(3)]
    facts = {"data": {"label_counts": [3479, 3123, 3213]}, "slice": {"size": 3}}
    with database.unit_of_work() as session:
        lease = take_run(session, "worker-1", QueueSettings())
        assert lease is not None
        heartbeat(session, lease, Beat(stage="predicting", done=3, total=3, correct=3), rows, QueueSettings())
        earlier = text("UPDATE reproductions SET started_at = now() - make_interval(secs => :seconds) WHERE id = :id")
        session.execute(earlier, {"seconds": seconds, "id": run["id"]})
    with database.unit_of_work() as session:
        conclude_run(session, lease, facts)


@pytest.mark.usefixtures("catalogue")
def test_a_run_that_succeeded_names_its_verdict(client: Api, database: Database) -> None:
    succeed(client, database, 1)
    (run,) = ok(client.get("/v1/reproductions"))["items"]
    verdict = ok(client.get(f"/v1/verdicts/{run['verdict_id']}"))
    assert (run["state"], run["done"]) == ("succeeded", True)
    assert (verdict["origin"], verdict["reproduction"]) == ("reproduction", run["id"])
    evidence = ok(client.get(f"/v1/verdicts/{verdict['id']}/evidence"))
    assert (evidence["driver"]["slug"], evidence["predictions"]) == (DRIVER, 3)
    assert "retry-after" not in client.get(f"/v1/reproductions/{run['id']}").headers


BAD: list[tuple[Json, str]] = [
    ({"reported_value": "n/a"}, "reported_value"),
    ({"reported_value": None}, "reported_value"),
    ({"unit": "points"}, "unit"),
    ({"population": 0}, "population"),
    ({"population": -1}, "population"),
    ({"population": 100_001}, "population"),
    ({"population": 10.0}, "population"),
    ({"margin": 0}, "margin"),
    ({"margin": 0.0001}, "margin"),
    ({"margin": 0.5}, "margin"),
    ({"margin": 2}, "margin"),
    ({"margin": "0.01"}, "margin"),
    ({"margin": None}, "margin"),
    ({"power": 0}, "power"),
    ({"power": 1}, "power"),
    ({"power": 80}, "power"),
    ({"power": True}, "power"),
    ({"rule_version": "2"}, "rule_version"),
    ({"driver": "No Slug"}, "driver"),
    ({"n": 5}, "n"),
]


def test_bad_input_is_named(client: Api) -> None:
    for fields, name in BAD:
        refused(client.post("/v1/designs", json=design(**fields)), 422, "validation_failed", f"body.{name}")
    for value, unit in (("91.8", "fraction"), ("100.1", "percent")):
        body = design(reported_value=value, unit=unit)
        refused(client.post("/v1/designs", json=body), 422, "design_value_invalid", "body.reported_value")
    refused(client.post("/v1/designs", json=design(driver="nobodys")), 404, "driver_not_found")
    refused(client.post("/v1/designs", content=b"{}"), 415, "unsupported_media_type")


@given(st.integers(0, 1000), st.integers(1, 3000), st.integers(1, 400))
@settings(max_examples=25)
def test_the_size_has_the_power_that_is_said(client: Api, tenths: int, population: int, margin: int) -> None:
    body = design(reported_value=f"{tenths / 10:.1f}", population=population, margin=margin / 1000)
    answer = ok(client.post("/v1/designs", json=body))
    if answer["n"] is not None:
        assert 1 <= answer["n"] <= population
        assert 0.8 <= answer["power"] <= 1 + 1e-12
