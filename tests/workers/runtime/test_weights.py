"""Weights read once: the bits of the file, and the model that transformers would have made of it."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModelForSequenceClassification

from app.protocol.errors import DriverError
from tests.workers.tiny_checkpoints import write_checkpoint
from workers.runtime import loading
from workers.runtime.checkpoint import inspect_checkpoint
from workers.runtime.digests import file_identity
from workers.runtime.loading import load_model
from workers.runtime.weights import read_into, stored_in

pytestmark = pytest.mark.worker


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_every_number_as_float32(tmp_path: Path, dtype: torch.dtype) -> None:
    tensors = {
        "b": torch.randn(3, 5).to(dtype),
        "a": torch.randn(7).to(dtype),
        "none": torch.zeros(0, 4, dtype=dtype),
        "one": torch.tensor(2.5, dtype=dtype),
    }
    save_file(tensors, tmp_path / "w.safetensors", {"format": "pt"})
    found = stored_in([tmp_path / "w.safetensors"])
    assert set(found) == set(tensors)
    for name, tensor in tensors.items():
        assert found[name].shape == tuple(tensor.shape)
        assert found[name].read().dtype is torch.float32
        assert torch.equal(found[name].read(), tensor.float())
        room = torch.full(tensor.shape, torch.nan)
        assert found[name].read(room) is room
        assert torch.equal(room, tensor.float())
    assert torch.equal(found["b"].read_rows([2, 0, 2]), tensors["b"].float()[[2, 0, 2]])


def test_what_is_no_float_is_left_to_others(tmp_path: Path) -> None:
    weights = {"weight": torch.ones(2, 3), "bias": torch.ones(2, dtype=torch.int64)}
    save_file(weights, tmp_path / "w.safetensors")
    model = torch.nn.Linear(3, 2)
    assert not read_into(model, [tmp_path / "w.safetensors"])
    save_file(weights | {"bias": torch.ones(2)}, tmp_path / "w.safetensors")
    assert read_into(model, [tmp_path / "w.safetensors"])
    assert torch.equal(model.weight, torch.ones(2, 3))


def test_a_file_that_was_cut_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(100)}, path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ValueError, match="shorter"):
        stored_in([path])["a"].read()


def test_a_file_that_is_changed_in_use_is_not_read_on(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(100)}, path)
    identity = file_identity(path)
    kept = stored_in([path], {identity})["a"]
    os.utime(path, ns=(1, 1))
    with pytest.raises(DriverError, match="changed") as caught:
        kept.read()
    assert (caught.value.code, caught.value.retryable) == ("checkpoint_changed", True)
    with pytest.raises(DriverError, match="changed"):
        stored_in([path], {identity})


@pytest.mark.parametrize("architecture", ["deberta-v2", "bert", "distilbert"])
def test_the_model_is_the_one_that_transformers_makes(
    tmp_path: Path, architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_checkpoint(tmp_path, architecture=architecture)
    checkpoint = inspect_checkpoint(tmp_path, weights="model.safetensors", pinned={})
    calls: list[object] = []
    real = AutoModelForSequenceClassification.from_pretrained

    def from_pretrained(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - untyped library
        calls.append(given)
        return real(*given, **named)

    monkeypatch.setattr(AutoModelForSequenceClassification, "from_pretrained", from_pretrained)
    ours, attention = load_model(checkpoint)
    assert calls == []
    monkeypatch.setattr(loading, "_exact", lambda *_: None)
    theirs, same = load_model(checkpoint)
    assert len(calls) == 1
    assert attention == same
    assert not ours.training
    expected = theirs.state_dict()
    assert ours.state_dict().keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in ours.state_dict().items())
    buffers = dict(theirs.named_buffers())
    assert dict(ours.named_buffers()).keys() == buffers.keys()
    assert all(torch.equal(buffer, buffers[name]) for name, buffer in ours.named_buffers())
    ids = torch.arange(4, 12)[None]
    # from_pretrained leaves its weights in the mapped file, at any offset, and alignment moves the last bits.
    # In memory of torch's own, as ours are, they give the same bits.
    theirs.load_state_dict({name: tensor.clone() for name, tensor in expected.items()}, assign=True)
    with torch.inference_mode():
        assert torch.equal(ours(input_ids=ids).logits, theirs(input_ids=ids).logits)
