"""One world of real processes for the tests of this room; after each of them everything accepted has to be kept."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.conftest import in_memory
from tests.faults.world import World


@pytest.fixture(scope="session")
def whole_world() -> Iterator[World]:
    with (
        TemporaryDirectory(prefix="verdicts-faults-", dir=in_memory(), ignore_cleanup_errors=True) as folder,
        World(Path(folder)) as world,
    ):
        yield world


@pytest.fixture
def world(whole_world: World) -> Iterator[World]:
    """The world with its API up, and no worker."""
    whole_world.api()
    yield whole_world
    whole_world.end_workers()
    whole_world.check()
