"""Without the worker extra (torch, transformers, the hub client) only the catalogue's own tests can be collected."""

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

_EXTRA = ("torch", "transformers", "tokenizers", "huggingface_hub")
collect_ignore = (
    []
    if all(find_spec(package) for package in _EXTRA)
    else ["datasets", "evaluation", "runtime", "runtime_packed", "catalogue/test_catalogue_data.py"]
)

CATALOGUE = Path(__file__).parents[2] / "workers" / "catalogue"


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Threads over tiny matrices wait for each other more than they work: minutes of it where the cores are shared."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def catalogue() -> Path:
    return CATALOGUE
