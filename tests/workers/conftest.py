"""Without the worker extra (torch, transformers, the hub client) only the catalogue's own tests can be collected."""

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


@pytest.fixture(scope="session")
def catalogue() -> Path:
    return CATALOGUE
