from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from app.protocol.driver import DType
from tests.workers.runtime_packed.tiny_models import CPU, one_at_a_time, random_examples, tiny
from workers.runtime.backends import build_backends
from workers.runtime.packed import entry as packed_entry
from workers.runtime.packed import keeper as packed_keeper
from workers.runtime.packed import packed_backend
from workers.runtime.packed import strassen as packed_strassen
from workers.runtime.packed.entry import PackedBackend
from workers.runtime.packed.native import levels

pytestmark = pytest.mark.worker

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("bert", {}),
    "bert-one-layer": ("bert", {"num_hidden_layers": 1}),
    "bert-deeper": ("bert", {"num_hidden_layers": 6, "num_attention_heads": 2, "num_labels": 2}),
    "roberta": ("roberta", {}),
    "roberta-one-type": ("roberta", {"type_vocab_size": 1, "pad_token_id": 3, "max_position_embeddings": 516}),
    "deberta-v3": ("deberta", {}),
    "deberta-real-buckets": ("deberta", {"position_buckets": 256, "max_relative_positions": -1}),
    "deberta-one-layer": ("deberta", {"num_hidden_layers": 1}),
    "deberta-no-buckets": ("deberta", {"position_buckets": -1}),
    "deberta-few-distances": ("deberta", {"position_buckets": -1, "max_relative_positions": 24}),
    "deberta-plain-distances": ("deberta", {"norm_rel_ebd": "none", "num_attention_heads": 8}),
    "deberta-absolute-too": ("deberta", {"position_biased_input": True, "type_vocab_size": 2}),
    "deberta-wide": ("deberta", {"hidden_size": 512, "num_attention_heads": 8, "intermediate_size": 544}),
    "deberta-tanh-pooler": ("deberta", {"pooler_hidden_act": "tanh", "num_labels": 1}),
}
LENGTHS = (1, 2, 3, 17, 17, 17, 33, 64, 65, 9, 128, 512, 2)


def packed(name: str, *, dtype: torch.dtype = torch.float32) -> PackedBackend:
    family, options = CASES[name]
    backend = packed_backend(tiny(family, **options), device=CPU, dtype=dtype)
    assert backend is not None
    return backend


@pytest.fixture(params=[*(one.level for one in levels()), *(f"{one.level}-strassen" for one in levels()), "torch"])
def _kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each set of kernels that this processor has, with Strassen's products for small matrices too, and none."""
    level, _, strassen = request.param.partition("-")
    chosen = next((one for one in levels() if one.level == level), None)
    monkeypatch.setattr(packed_keeper, "native_kernels", lambda: chosen)
    if strassen:
        monkeypatch.setattr(packed_strassen, "LEAST", 32)


@pytest.mark.usefixtures("_kernels")
@pytest.mark.parametrize("name", CASES)
def test_the_logits_are_those_of_transformers_one_example_at_a_time(name: str) -> None:
    family, options = CASES[name]
    model = tiny(family, **options)
    examples = random_examples(LENGTHS, model)
    expected = one_at_a_time(model, examples)
    logits = packed(name).logits(examples)
    assert expected.std() > 0.05, "weights too small to tell a wrong forward from a right one"
    assert logits.dtype == np.float32
    assert_allclose(logits, expected, rtol=0, atol=1e-4)
    assert_array_equal(logits.argmax(axis=1), expected.argmax(axis=1))


@pytest.mark.parametrize("name", ["bert", "roberta", "deberta-v3", "deberta-wide"])
def test_any_batch_in_any_order(name: str) -> None:
    family, options = CASES[name]
    model = tiny(family, **options)
    backend = packed(name)

    @settings(deadline=None, max_examples=30)
    @given(st.lists(st.integers(1, 140), min_size=1, max_size=12), st.integers(0, 2**16))
    def check(lengths: list[int], seed: int) -> None:
        examples = random_examples(lengths, model, seed=seed)
        expected = one_at_a_time(model, examples)
        assert_allclose(backend.logits(examples), expected, rtol=0, atol=1e-4)

    check()


@pytest.mark.parametrize("name", ["bert", "deberta-v3", "deberta-wide"])
def test_the_company_of_an_example_changes_nothing_but_rounding(name: str) -> None:
    family, options = CASES[name]
    examples = random_examples((40, 12, 40, 90, 12, 7), tiny(family, **options))
    backend = packed(name)
    together = backend.logits(examples)
    alone = np.concatenate([backend.logits([example]) for example in examples])
    assert_allclose(together, alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["bert", "roberta", "deberta-v3", "deberta-wide"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_same_input_gives_the_same_bits(name: str, dtype: torch.dtype) -> None:
    family, options = CASES[name]
    examples = random_examples(LENGTHS, tiny(family, **options))
    first, second = packed(name, dtype=dtype), packed(name, dtype=dtype)
    expected = first.logits(examples)
    # What ran in between must not matter: the position products are laid out for the longest example of a batch.
    first.logits(examples[:5])
    assert_array_equal(first.logits(examples), expected)
    assert_array_equal(second.logits(examples), expected)


@pytest.mark.usefixtures("_kernels")
@pytest.mark.parametrize("name", ["bert", "roberta", "deberta-v3"])
def test_bfloat16_is_close(name: str) -> None:
    family, options = CASES[name]
    examples = random_examples(LENGTHS, tiny(family, **options))
    change = np.abs(packed(name, dtype=torch.bfloat16).logits(examples) - packed(name).logits(examples))
    assert change.max() < 0.1


@pytest.mark.usefixtures("_kernels")
@pytest.mark.parametrize("name", ["bert", "roberta", "deberta-v3"])
def test_rows_of_no_example_change_no_answer(name: str) -> None:
    family, options = CASES[name]
    model = tiny(family, **options)
    assert packed(name, dtype=torch.bfloat16).row_step == 16
    assert packed(name).row_step == 1
    # In float32, where a difference would show.
    filled = replace(packed(name), row_step=16)
    for lengths in ((1,), (15, 1), (16,), (3, 40, 2, 2), (20, 5, 9, 1, 30), (512, 511), tuple(range(1, 20))):
        examples = random_examples(lengths, model)
        assert_allclose(filled.logits(examples), one_at_a_time(model, examples), rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["bert", "deberta-v3"])
def test_a_batch_too_large_for_its_scores_is_cut(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    family, options = CASES[name]
    examples = random_examples((60, 3, 60, 31, 60, 5), tiny(family, **options))
    whole = packed(name).logits(examples)
    monkeypatch.setitem(packed_entry._SCORES, "cpu", 16 * 60 * 60)
    assert_allclose(packed(name).logits(examples), whole, rtol=0, atol=1e-5)


def test_no_examples_give_no_logits() -> None:
    assert packed("deberta-v3").logits([]).shape == (0, 3)


@pytest.mark.skipif(not levels(), reason="no compiler, or no AVX2")
def test_strassens_products_are_for_strict_float32_of_wide_models_and_while_there_is_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wide = packed("deberta-wide")
    assert wide.model.products == "strassen"
    assert packed("deberta-v3").model.products == "plain", "where sums would cost what products save"
    assert packed("deberta-wide", dtype=torch.bfloat16).model.products == "plain", "its rounding is large enough"
    both = [
        build_backends(tiny("deberta", **CASES["deberta-wide"][1]), device=CPU, dtype=dtype)
        for dtype in (DType.float32, DType.bfloat16)
    ]
    assert [one.products for one in both] == ["strassen", "plain"], "beside a lower dtype, float32 is for few batches"
    parts = tiny("deberta", **CASES["deberta-wide"][1]).named_parameters()
    layer = sum(parameter.numel() for name, parameter in parts if ".layer.0." in name)
    monkeypatch.setattr(packed_keeper, "STRASSEN_ROOM", 3 * layer)
    part = packed("deberta-wide")
    kinds = [type(one.tail.feed) is packed_strassen.StrassenFeed for one in part.model.layers]
    assert kinds == [True, False], "the first layer of those before the last"
    monkeypatch.setattr(packed_keeper, "STRASSEN_ROOM", 3 * layer - 1)
    none = packed("deberta-wide")
    assert none.model.products == "plain"
    examples = random_examples(LENGTHS, tiny("deberta", **CASES["deberta-wide"][1]))
    for backend in (part, none):
        assert_allclose(backend.logits(examples), wide.logits(examples), rtol=0, atol=1e-5)
