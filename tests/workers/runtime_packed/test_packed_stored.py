"""Weights that stay in their file: the same numbers as those of a model that is in memory."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from safetensors.torch import save_file

from tests.workers.runtime_packed.test_packed_exact import LENGTHS
from tests.workers.runtime_packed.tiny_models import CPU, random_examples, tiny
from workers.runtime.packed import linear, packed_backend
from workers.runtime.packed.bare import BareModel, bare_model
from workers.runtime.packed.keeper import Weights
from workers.runtime.packed.numbers import Rows
from workers.runtime.weights import Stored, stored_in

pytestmark = pytest.mark.worker


def _stored(model: Any, path: Path) -> BareModel:  # noqa: ANN401 - transformers' models are untyped
    save_file({name: tensor.clone() for name, tensor in model.state_dict().items()}, path)
    bare = bare_model(model.config.to_dict(), model.config.num_labels)
    assert bare is not None
    assert bare.adopt(stored_in([path]))
    return bare


@pytest.mark.parametrize("family", ["deberta", "bert", "roberta"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_laid_out_from_the_file_or_from_memory(tmp_path: Path, family: str, dtype: torch.dtype) -> None:
    model = tiny(family)
    examples = random_examples(LENGTHS, model)
    stored = packed_backend(_stored(model, tmp_path / "w.safetensors"), device=CPU, dtype=dtype)
    present = packed_backend(model, device=CPU, dtype=dtype)
    assert stored is not None
    assert present is not None
    assert_array_equal(stored.logits(examples), present.logits(examples))


@pytest.mark.parametrize("family", ["deberta", "bert"])
def test_weights_that_are_read_for_each_batch(tmp_path: Path, family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny(family)
    examples = random_examples(LENGTHS, model)
    bare = _stored(model, tmp_path / "w.safetensors")
    kept = packed_backend(bare, device=CPU, dtype=torch.bfloat16, spend=False)
    laid_out, lay_out = [], linear._blocked_linear

    def watched(weight: torch.Tensor, bias: torch.Tensor | None, *, gelu: bool) -> linear.Product:
        laid_out.append(weight.shape)
        return lay_out(weight, bias, gelu=gelu)

    with monkeypatch.context() as while_building:
        while_building.setattr(linear, "_blocked_linear", watched)
        streamed = packed_backend(bare, device=CPU, dtype=torch.float32, weights=Weights.streamed)
    assert len(laid_out) == len({"out", "up", "down"}), "more than the last layer, which is there once, is kept"
    expected = packed_backend(model, device=CPU, dtype=torch.float32)
    assert kept is not None
    assert streamed is not None
    assert expected is not None
    for _ in range(2):
        assert_allclose(streamed.logits(examples), expected.logits(examples), atol=1e-5)
        assert_allclose(kept.logits(examples), expected.logits(examples), atol=0.3)


def test_what_is_not_the_models_is_not_adopted(tmp_path: Path) -> None:
    model: Any = tiny("bert")
    path = tmp_path / "w.safetensors"
    own = model.state_dict()
    for weights in (
        {name: tensor for name, tensor in own.items() if name != "classifier.bias"},
        own | {"more": torch.zeros(1)},
        own | {"classifier.bias": torch.zeros(4)},
        own | {"classifier.bias": torch.zeros(3, dtype=torch.int64)},
    ):
        save_file({name: tensor.clone() for name, tensor in weights.items()}, path)
        bare = bare_model(model.config.to_dict(), 3)
        assert bare is not None
        assert not bare.adopt(stored_in([path]))
        assert not bare.stored


def test_rows_are_read_once_and_only_if_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    table = torch.randn(50, 8)
    save_file({"table": table}, path)
    stored = stored_in([path])["table"]
    read: list[list[int]] = []

    class Spied(Stored):
        def read_rows(self, rows: Sequence[int]) -> torch.Tensor:
            read.append(list(rows))
            return super().read_rows(rows)

    rows = Rows(Spied(**{field.name: getattr(stored, field.name) for field in fields(stored)}), most=5)

    def asked(*ids: int) -> list[list[int]]:
        read.clear()
        assert torch.equal(rows.take(torch.tensor(ids)), table[list(ids)])
        return list(read)

    assert asked(3, 49, 3, 0) == [[0, 3, 49]]
    assert asked(49, 3) == []
    assert asked(4, 3, 7, 20, 8) == [[4, 7, 8, 20]]
    # Five are kept: two of the last four.
    assert asked(0, 3, 49, 4, 7) == []
    assert asked(20, 0, 8, 8) == asked(20, 0, 8, 8) == [[8, 20]]
    assert torch.equal(rows.read(), table)
