"""A model's run whose worker was killed in inference has, in the end, the verdict of one that nothing happened to."""

from hashlib import sha256
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.faults.holds import MORE_PREDICTIONS, held, wait_until_held
from tests.faults.world import World

pytestmark = [pytest.mark.worker, pytest.mark.timeout(900)]

SIZE = 400
"""Examples that take the model some batches, and a second or two."""
VARYING = {"tokenizing_seconds"}


def outcome(world: World, run_id: UUID) -> tuple[dict[str, Any], dict[str, Any]]:
    """All that a verdict says and rests on, but for clocks and ids; and what its evidence says of the attempt."""

    def read(path: str) -> httpx.Response:
        return httpx.get(f"{world.base}/v1/{path}", timeout=60).raise_for_status()

    run = read(f"reproductions/{run_id}").json()
    verdict = read(f"verdicts/{run['verdict_id']}").json()
    evidence = read(f"verdicts/{run['verdict_id']}/evidence").json()
    facts = evidence["facts"]
    predictions = read(f"verdicts/{run['verdict_id']}/predictions").content
    same = {
        "verdict": {name: verdict[name] for name in ("status", "score", "confidence", "protocol_axes", "estimate")},
        "estimate": run["estimate"],
        "progress": run["progress"],
        "confusion": evidence["confusion"],
        "predictions": (evidence["predictions"], sha256(predictions).hexdigest()),
        "inference": {name: fact for name, fact in facts["inference"].items() if name not in VARYING},
        "rest": {name: facts[name] for name in ("data", "slice", "model", "driver")},
    }
    return same, facts["attempt"]


def test_a_run_that_was_killed_in_inference_ends_as_an_uninterrupted_one(world: World) -> None:
    worker = world.worker("killed")
    with world.connection() as connection, held(connection, MORE_PREDICTIONS):
        killed = world.ask_minilm(SIZE)
        wait_until_held(connection, MORE_PREDICTIONS)
        worker.kill()
    stored = world.run(killed).progress_done
    world.worker("another")
    assert world.until(killed).state.value == "succeeded"
    whole = world.ask_minilm(SIZE)
    assert world.until(whole).state.value == "succeeded"
    expected, _ = outcome(world, whole)
    found, attempt = outcome(world, killed)
    assert found == expected
    assert expected["predictions"][0] == SIZE
    # It went on from what was stored: the batches of all its attempts together are those of one run.
    assert 0 < stored < SIZE
    assert attempt["stored_before"] >= stored  # more, where a lease ran out once more on a machine that is busy
    assert attempt["number"] >= 2
    assert expected["inference"]["batches"] > 2
