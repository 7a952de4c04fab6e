"""Which models the packed forward reproduces exactly: everything else goes through transformers."""

from typing import Any

from torch import nn
from transformers import (
    BertForSequenceClassification,
    DebertaV2ForSequenceClassification,
    PreTrainedModel,
    RobertaForSequenceClassification,
)


def supported(model: PreTrainedModel) -> bool:
    """Whether every option of this model is one that the packed forward knows."""
    config: Any = model.config
    if type(model) in {BertForSequenceClassification, RobertaForSequenceClassification}:
        known = _content_options(config)
    elif type(model) is DebertaV2ForSequenceClassification:
        known = _disentangled_options(config)
    else:
        return False
    return (
        known and config.hidden_act == "gelu" and config.pad_token_id is not None and _plain(model) and _square(model)
    )


def _content_options(config: Any) -> bool:  # noqa: ANN401 - the options of two configurations
    return (
        getattr(config, "position_embedding_type", "absolute") == "absolute"
        and not config.is_decoder
        and not config.add_cross_attention
    )


def _disentangled_options(config: Any) -> bool:  # noqa: ANN401 - options that the configuration class does not declare
    norms = {name.strip() for name in getattr(config, "norm_rel_ebd", "none").lower().split("|")}
    return (
        config.relative_attention
        and set(config.pos_att_type or ()) == {"c2p", "p2c"}
        and getattr(config, "share_att_key", False)
        and getattr(config, "conv_kernel_size", 0) <= 0
        and getattr(config, "embedding_size", config.hidden_size) == config.hidden_size
        and norms <= {"none", "layer_norm"}
    )


def _plain(model: PreTrainedModel) -> bool:
    """Whether all modules are torch's or the architecture's own, none replaced (adapter, quantiser) and none hooked."""
    own = {type(model).__module__, "transformers.activations"}
    return all(
        (type(part).__module__ in own or type(part).__module__.startswith("torch.nn.modules."))
        and not (part._forward_hooks or part._forward_pre_hooks)  # noqa: SLF001 - torch has no public view of them
        for part in model.modules()
    )


def _square(model: PreTrainedModel) -> bool:
    """Whether there are layers, and their heads together are as wide as the hidden states."""
    base: Any = model.base_model
    layers = base.encoder.layer
    width = model.config.hidden_size
    maps = [part for layer in layers for part in layer.attention.self.children() if isinstance(part, nn.Linear)]
    return len(layers) > 0 and all((part.in_features, part.out_features) == (width, width) for part in maps)
