from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import nn
from transformers import (
    BertConfig,
    BertForTokenClassification,
    DebertaConfig,
    DebertaForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    PreTrainedModel,
)

from tests.workers.runtime_packed.tiny_models import CPU, one_at_a_time, random_examples, tiny
from workers.runtime.packed import packed_backend

pytestmark = pytest.mark.worker

UNKNOWN_OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("bert", {"hidden_act": "gelu_new"}),
    ("bert", {"hidden_act": "relu"}),
    ("bert", {"position_embedding_type": "relative_key"}),
    ("bert", {"is_decoder": True}),
    ("bert", {"is_decoder": True, "add_cross_attention": True}),
    ("roberta", {"hidden_act": "gelu_pytorch_tanh"}),
    ("roberta", {"position_embedding_type": "relative_key_query"}),
    ("roberta", {"is_decoder": True}),
    ("deberta", {"hidden_act": "gelu_new"}),
    ("deberta", {"relative_attention": False}),
    ("deberta", {"pos_att_type": ["c2p"]}),
    ("deberta", {"pos_att_type": ["p2c"]}),
    ("deberta", {"pos_att_type": []}),
    ("deberta", {"pos_att_type": None, "relative_attention": False}),
    ("deberta", {"share_att_key": False}),
    ("deberta", {"conv_kernel_size": 3}),
    ("deberta", {"embedding_size": 32}),
    ("deberta", {"norm_rel_ebd": "layer_norm|other"}),
    ("deberta", {"attention_head_size": 8, "share_att_key": False}),
]


def backend_of(model: PreTrainedModel) -> object:
    return packed_backend(model, device=CPU, dtype=torch.float32)


@pytest.mark.parametrize(("family", "options"), UNKNOWN_OPTIONS)
def test_an_option_that_is_not_reproduced_is_left_to_transformers(family: str, options: dict[str, Any]) -> None:
    assert backend_of(tiny(family, **options)) is None


def test_other_architectures_and_heads_are_left_to_transformers() -> None:
    small: dict[str, Any] = {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    assert backend_of(DebertaForSequenceClassification(DebertaConfig(**small, intermediate_size=32))) is None
    assert backend_of(BertForTokenClassification(BertConfig(**small, intermediate_size=32))) is None
    distil = DistilBertConfig(vocab_size=50, dim=32, hidden_dim=32, n_layers=1, n_heads=2)
    assert backend_of(DistilBertForSequenceClassification(distil)) is None


def test_a_model_with_an_unmerged_adapter_is_left_to_transformers() -> None:
    model: Any = tiny("bert")
    adapted: Any = inject_adapter_in_model(LoraConfig(target_modules=["query"]), model)
    assert backend_of(adapted) is None


def test_a_model_with_a_replaced_or_hooked_module_is_left_to_transformers() -> None:
    class OtherNorm(nn.LayerNorm):
        pass

    replaced: Any = tiny("bert")
    replaced.bert.encoder.layer[1].output.LayerNorm = OtherNorm(64)
    assert backend_of(replaced) is None
    hooked: Any = tiny("bert")
    hooked.bert.encoder.layer[1].register_forward_hook(lambda *_: None)
    assert backend_of(hooked) is None


def test_a_refused_model_still_works() -> None:
    model = tiny("deberta", conv_kernel_size=3)
    examples = random_examples((5, 9), model)
    before = one_at_a_time(model, examples)
    assert backend_of(model) is None
    np.testing.assert_array_equal(one_at_a_time(model, examples), before)


def test_a_taken_model_is_spent_layer_by_layer() -> None:
    model: Any = tiny("deberta")
    assert backend_of(model) is not None
    assert sum(parameter.numel() for parameter in model.deberta.encoder.layer.parameters()) == 0
    assert sum(parameter.numel() for parameter in model.deberta.embeddings.parameters()) == 0
