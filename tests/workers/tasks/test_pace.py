"""How long a run still takes, as a worker that was asked to stop judges it."""

import time
from math import inf

from workers.tasks.pace import Pace


def test_nothing_is_known_before_the_first_batch() -> None:
    pace = Pace(0, quick=False)
    assert pace.left_s() == inf
    pace.expect(100)
    assert pace.left_s() == inf


def test_a_run_without_a_model_is_always_about_to_end() -> None:
    pace = Pace(0, quick=True)
    assert pace.left_s() == 0
    pace.expect(100)
    assert pace.left_s() == 0


def test_what_is_left_takes_as_long_as_what_was_done() -> None:
    pace = Pace(400, quick=False)  # of an earlier attempt, whose pace says nothing
    before = time.monotonic()
    pace.expect(1000)
    time.sleep(0.05)
    pace.add(100)
    left = pace.left_s()
    assert 5 * 0.05 <= left <= 5 * (time.monotonic() - before)
    pace.add(500)
    assert pace.left_s() == 0
