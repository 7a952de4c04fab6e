"""Models small enough for a test, with weights large enough that every part of the forward shows in the logits."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DebertaV2Config,
    DebertaV2ForSequenceClassification,
    PreTrainedModel,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from workers.runtime.backend import TokenizedExample

CPU = torch.device("cpu")
VOCABULARY = 120
_SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "num_labels": 3,
}
_DEBERTA = {
    "relative_attention": True,
    "pos_att_type": ["p2c", "c2p"],
    "share_att_key": True,
    "norm_rel_ebd": "layer_norm",
    "position_buckets": 32,
    "position_biased_input": False,
    "type_vocab_size": 0,
    "layer_norm_eps": 1e-7,
}
_FAMILIES: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "bert": (BertForSequenceClassification, BertConfig, {}),
    # 514 positions, the first two of them never used: RoBERTa counts from the padding token's.
    "roberta": (RobertaForSequenceClassification, RobertaConfig, {"max_position_embeddings": 514}),
    "deberta": (DebertaV2ForSequenceClassification, DebertaV2Config, _DEBERTA),
}


def tiny(name: str, *, seed: int = 0, **options: Any) -> PreTrainedModel:  # noqa: ANN401 - any configuration option
    model_class, config_class, own = _FAMILIES[name]
    torch.manual_seed(seed)
    model: PreTrainedModel = model_class(config_class(**{**_SIZES, **own, **options})).eval()
    with torch.no_grad():
        for path, parameter in model.named_parameters():
            # Sums over more of them would drown what is added to them.
            size = 0.3 if "embeddings" in path else 0.1 * (_SIZES["hidden_size"] / model.config.hidden_size) ** 0.5
            parameter.add_(torch.randn_like(parameter) * size)
    return model


def random_examples(lengths: Sequence[int], model: PreTrainedModel, *, seed: int = 0) -> list[TokenizedExample]:
    generator = np.random.default_rng(seed)
    types = max(1, int(getattr(model.config, "type_vocab_size", 1)))
    return [
        TokenizedExample(
            generator.integers(5, VOCABULARY, length).astype(np.int32),
            generator.integers(0, types, length).astype(np.int32),
        )
        for length in lengths
    ]


def one_at_a_time(model: PreTrainedModel, examples: Sequence[TokenizedExample]) -> NDArray[np.float32]:
    with torch.inference_mode():
        rows = [
            model(
                input_ids=torch.from_numpy(example.input_ids)[None].long(),
                token_type_ids=torch.from_numpy(example.token_type_ids)[None].long(),
            ).logits
            for example in examples
        ]
    logits: NDArray[np.float32] = torch.cat(rows).numpy()
    return logits
