"""Models read without transformers: the same modules and numbers; what is not certain is left to transformers."""

from typing import Any

import pytest
import torch
from numpy.testing import assert_array_equal
from transformers import BertConfig, DebertaV2Config, RobertaConfig

from tests.workers.runtime_packed.test_packed_exact import CASES, LENGTHS
from tests.workers.runtime_packed.tiny_models import CPU, random_examples, tiny
from workers.runtime.packed import packed_backend
from workers.runtime.packed.bare import DEFAULTS, bare_model

pytestmark = pytest.mark.worker


@pytest.mark.parametrize("case", CASES)
def test_the_logits_are_those_of_the_model_that_transformers_builds(case: str) -> None:
    family, options = CASES[case]
    theirs: Any = tiny(family, **options)
    ours: Any = bare_model(theirs.config.to_dict(), theirs.config.num_labels)
    assert ours is not None
    weights = theirs.state_dict()
    assert {name: tensor.shape for name, tensor in ours.state_dict().items()} == {
        name: tensor.shape for name, tensor in weights.items()
    }
    ours.load_state_dict({name: tensor.clone() for name, tensor in weights.items()}, assign=True)
    assert ours.architecture == type(theirs).__name__
    assert ours.attention == ("sdpa" if theirs._supports_sdpa else "eager")
    examples = random_examples(LENGTHS, theirs)
    expected, found = (packed_backend(model, device=CPU, dtype=torch.float32) for model in (theirs, ours))
    assert expected is not None
    assert found is not None
    assert_array_equal(found.logits(examples), expected.logits(examples))


def test_what_may_be_left_out_is_as_transformers_fills_it_in() -> None:
    for kind, config in (("bert", BertConfig()), ("roberta", RobertaConfig()), ("deberta-v2", DebertaV2Config())):
        theirs = config.to_dict()
        assert DEFAULTS[kind] == {name: theirs[name] for name in DEFAULTS[kind]}


@pytest.mark.parametrize(
    "changes",
    [
        {"model_type": "distilbert"},
        {"hidden_act": "relu"},
        {"layer_norm_eps": None},
        {"hidden_size": "64"},
        {"num_attention_heads": 5},
        {"attention_head_size": 32},
        {"pooler_hidden_act": "mish"},
        {"pooler_hidden_size": 32},
        {"share_att_key": False},
    ],
)
def test_what_is_not_certain_is_left_to_transformers(changes: dict[str, Any]) -> None:
    settings = tiny("deberta").config.to_dict() | changes
    settings = {name: value for name, value in settings.items() if value is not None}
    assert bare_model(settings, 3) is None


def test_a_model_that_is_not_to_be_spent_is_left_as_it_is() -> None:
    model = tiny("bert")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert packed_backend(model, device=CPU, dtype=torch.bfloat16, spend=False) is not None
    after = model.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
