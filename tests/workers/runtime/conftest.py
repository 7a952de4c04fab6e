"""Tiny checkpoints, written once; a test that spoils one works on a copy."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.workers.tiny_checkpoints import write_checkpoint
from workers.runtime.cache import warm_models


@pytest.fixture(scope="session")
def deberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("deberta"))


@pytest.fixture
def copied(deberta: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(deberta, tmp_path / "checkpoint"))


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny models gain nothing from a second thread, and lose much where another process has the core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _cold() -> Iterator[None]:
    warm_models.clear()
    yield
    warm_models.clear()
