"""Which models the packed forward reproduces exactly: everything else goes through transformers."""

from typing import Any, Final

from torch import nn

_MODELS: Final = {
    "transformers.models.bert.modeling_bert.BertForSequenceClassification",
    "transformers.models.roberta.modeling_roberta.RobertaForSequenceClassification",
    "transformers.models.deberta_v2.modeling_deberta_v2.DebertaV2ForSequenceClassification",
}
"""By name, because transformers takes seconds to import, and who has one of its models has imported it."""


def supported(model: Any) -> bool:  # noqa: ANN401 - transformers' models are untyped here
    """Whether every module and option of this model of transformers is one that the packed forward knows."""
    name = f"{type(model).__module__}.{type(model).__qualname__}"
    return name in _MODELS and known_options(model.config) and _plain(model) and _square(model)


def known_options(config: Any) -> bool:  # noqa: ANN401 - the options of three configurations
    """Whether every option of a supported family is one that the packed forward knows."""
    known = _disentangled_options if config.model_type == "deberta-v2" else _content_options
    return known(config) and config.hidden_act == "gelu" and config.pad_token_id is not None


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


def _plain(model: Any) -> bool:  # noqa: ANN401 - as above
    """Whether all modules are torch's or the architecture's own, none replaced (adapter, quantiser) and none hooked."""
    own = {type(model).__module__, "transformers.activations"}
    return all(
        (type(part).__module__ in own or type(part).__module__.startswith("torch.nn.modules."))
        and not (part._forward_hooks or part._forward_pre_hooks)  # noqa: SLF001 - torch has no public view of them
        for part in model.modules()
    )


def _square(model: Any) -> bool:  # noqa: ANN401 - as above
    """Whether there are layers, and their heads together are as wide as the hidden states."""
    layers = model.base_model.encoder.layer
    width = model.config.hidden_size
    maps = [part for layer in layers for part in layer.attention.self.children() if isinstance(part, nn.Linear)]
    return len(layers) > 0 and all((part.in_features, part.out_features) == (width, width) for part in maps)
