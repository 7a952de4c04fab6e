"""Announce the stages of a run, and measure what each of them took."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from workers.evaluation.types import OnStage, Stage


class Stages:
    """A stage is announced when it begins; its seconds add up over all the times it is entered."""

    def __init__(self, on_stage: OnStage) -> None:
        self._on_stage = on_stage
        self._announced: Stage | None = None
        self.seconds: dict[str, float] = {}

    @contextmanager
    def timed(self, stage: Stage) -> Iterator[None]:
        """Time the block as part of the stage."""
        if stage != self._announced:
            self._announced = stage
            self._on_stage(stage)
        began = perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + perf_counter() - began
