"""The supported families without their forward: names and shapes as in transformers, which takes seconds to import."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, Final

import torch
from torch import nn
from torch.nn import functional

from workers.runtime.packed.numbers import Numbers, Rows
from workers.runtime.packed.support import known_options
from workers.runtime.weights import Stored

_ARCHITECTURES: Final = {
    "bert": "BertForSequenceClassification",
    "roberta": "RobertaForSequenceClassification",
    "deberta-v2": "DebertaV2ForSequenceClassification",
}
_SIZES: Final = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size")
_SAID: Final = {*_SIZES, "max_position_embeddings", "type_vocab_size", "layer_norm_eps", "hidden_act"}
"""What config.json has to say itself; whatever leaves one of them out is left to transformers."""
DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    "bert": {"pad_token_id": 0, "is_decoder": False, "add_cross_attention": False},
    "roberta": {"pad_token_id": 1, "is_decoder": False, "add_cross_attention": False},
    "deberta-v2": {
        "pad_token_id": 0,
        "relative_attention": False,
        "max_relative_positions": -1,
        "pos_att_type": None,
        "position_biased_input": True,
        "pooler_hidden_act": "gelu",
    },
}
"""Those of transformers' configurations, for what may be left out."""
_UNKNOWN: Final = ("attention_head_size", "pruned_heads", "rescale_embeddings")
_ACTIVATIONS: Final[dict[str, Callable[[torch.Tensor], torch.Tensor]]] = {
    "gelu": functional.gelu,
    "tanh": torch.tanh,
    "relu": functional.relu,
}


class _Linear(nn.Linear):
    def reset_parameters(self) -> None:
        """Nothing: on meta tensors the first draw costs seconds, because it imports torch's decompositions."""


class _Embedding(nn.Embedding):
    def reset_parameters(self) -> None:
        """As in _Linear."""


class _Norm(nn.LayerNorm):
    def reset_parameters(self) -> None:
        """As in _Linear."""


class _Parts(nn.Module):
    """A module that is nothing but its parts, by name."""

    def __init__(self, /, **parts: Any) -> None:  # noqa: ANN401 - modules and plain settings
        super().__init__()
        for name, part in parts.items():
            if part is not None:
                setattr(self, name, part)


class _Pooler(nn.Module):
    """The first token through a linear map and an activation: [B, L, d] -> [B, d]."""

    def __init__(self, width: int, activation: str) -> None:
        super().__init__()
        self.dense = _Linear(width, width)
        self._activation = _ACTIVATIONS[activation]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, L, d] -> [B, d]."""
        return self._activation(self.dense(x[:, 0]))


class _PoolingHead(_Pooler):
    """RoBERTa's, which classifies too: [B, L, d] -> [B, C]."""

    def __init__(self, width: int, labels: int) -> None:
        super().__init__(width, "tanh")
        self.out_proj = _Linear(width, labels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, L, d] -> [B, C]."""
        logits: torch.Tensor = self.out_proj(super().forward(x))
        return logits


class BareModel(_Parts):
    """A classifier of a supported family: `config`, and weights under transformers' names; it cannot be called."""

    def __init__(self, config: SimpleNamespace, base: str, **parts: nn.Module) -> None:
        super().__init__(**parts)
        self.config = config
        self.architecture = _ARCHITECTURES[config.model_type]
        self.attention = "eager" if config.model_type == "deberta-v2" else "sdpa"
        self.prefix = f"{base}."
        """Of the names of all weights but the classifier's, as transformers has them."""
        self.stored: dict[torch.Tensor, Numbers] = {}
        """The parameters that are still in their files."""

    def adopt(self, weights: Mapping[str, Numbers]) -> bool:
        """Make these the weights, where they are exactly the model's, by name and shape, and all of them floats.

        The matrices of the layers and the embeddings of tokens, nearly all of a model, stay in their files until they
        are laid out; nothing is read, and False returned, where they are not the model's.
        """
        own = dict(self.named_parameters())
        if {name: tuple(one.shape) for name, one in own.items()} != {name: one.shape for name, one in weights.items()}:
            return False
        if any(one.dtype is None for one in weights.values()):
            return False
        for name, parameter in own.items():
            parameter.requires_grad_(False)
            numbers = weights[name]
            if name.endswith("word_embeddings.weight") and isinstance(numbers, Stored):
                self.stored[parameter] = Rows(numbers)
            elif ".layer." in name and parameter.ndim > 1:
                self.stored[parameter] = numbers
            else:
                owner, _, leaf = name.rpartition(".")
                setattr(self.get_submodule(owner), leaf, nn.Parameter(numbers.read(), requires_grad=False))
        return True

    @property
    def base_model(self) -> nn.Module:
        """Embeddings and encoder."""
        return self.get_submodule(self.prefix.removesuffix("."))

    def get_input_embeddings(self) -> nn.Module:
        """The embeddings of tokens."""
        return self.base_model.get_submodule("embeddings.word_embeddings")


def bare_model(settings: Mapping[str, Any], labels: int) -> BareModel | None:
    """The model of a config.json with so many labels, its weights not there yet (meta tensors).

    None where the packed forward does not reproduce it, or where config.json leaves something to be guessed.
    """
    config = _config(settings)
    if config is None or not known_options(config):
        return None
    with torch.device("meta"):
        model = _deberta(config, labels) if config.model_type == "deberta-v2" else _content(config, labels)
    config.num_labels = labels
    return model.eval()


def _config(settings: Mapping[str, Any]) -> SimpleNamespace | None:
    kind = settings.get("model_type")
    if kind not in DEFAULTS or not settings.keys() >= _SAID or any(settings.get(name) for name in _UNKNOWN):
        return None
    config = SimpleNamespace(**{**DEFAULTS[kind], **settings})
    if any(type(settings[name]) is not int or settings[name] < 1 for name in _SIZES):
        return None
    if isinstance(getattr(config, "pos_att_type", None), str):
        config.pos_att_type = [name.strip() for name in config.pos_att_type.lower().split("|")]
    fits = config.hidden_size % config.num_attention_heads == 0
    pooled = getattr(config, "pooler_hidden_size", config.hidden_size) == config.hidden_size
    acts = getattr(config, "pooler_hidden_act", "tanh") in _ACTIVATIONS
    return config if fits and pooled and acts else None


def _content(config: Any, labels: int) -> BareModel:  # noqa: ANN401 - settings of two families
    width = config.hidden_size
    embeddings = _embeddings(config, positions=True)
    encoder = _encoder(config, ("query", "key", "value"))
    if config.model_type == "roberta":
        return BareModel(
            config,
            "roberta",
            roberta=_Parts(embeddings=embeddings, encoder=encoder),
            classifier=_PoolingHead(width, labels),
        )
    base = _Parts(embeddings=embeddings, encoder=encoder, pooler=_Pooler(width, "tanh"))
    return BareModel(config, "bert", bert=base, classifier=_Linear(width, labels))


def _deberta(config: Any, labels: int) -> BareModel:  # noqa: ANN401 - as above
    width = config.hidden_size
    farthest = config.max_relative_positions if config.max_relative_positions >= 1 else config.max_position_embeddings
    buckets = getattr(config, "position_buckets", -1)
    encoder = _encoder(config, ("query_proj", "key_proj", "value_proj"))
    encoder.rel_embeddings = _Embedding(2 * (buckets if buckets > 0 else farthest), width)
    encoder.position_buckets, encoder.max_relative_positions = buckets, farthest
    norms = getattr(config, "norm_rel_ebd", "none").lower().split("|")
    if "layer_norm" in (name.strip() for name in norms):
        encoder.LayerNorm = _Norm(width, config.layer_norm_eps)
    embeddings = _embeddings(config, positions=config.position_biased_input)
    return BareModel(
        config,
        "deberta",
        deberta=_Parts(embeddings=embeddings, encoder=encoder),
        pooler=_Pooler(width, config.pooler_hidden_act),
        classifier=_Linear(width, labels),
    )


def _embeddings(config: Any, *, positions: bool) -> nn.Module:  # noqa: ANN401 - as above
    width, types = config.hidden_size, config.type_vocab_size
    # RoBERTa's padding token takes the positions up to its own, and the check of the longest text has to know.
    padding = config.pad_token_id if config.model_type == "roberta" else None
    return _Parts(
        word_embeddings=_Embedding(config.vocab_size, width),
        position_embeddings=_Embedding(config.max_position_embeddings, width, padding) if positions else None,
        token_type_embeddings=_Embedding(types, width) if types > 0 else None,
        LayerNorm=_Norm(width, config.layer_norm_eps),
    )


def _encoder(config: Any, names: tuple[str, str, str]) -> Any:  # noqa: ANN401 - as above
    return _Parts(layer=nn.ModuleList(_layer(config, names) for _ in range(config.num_hidden_layers)))


def _layer(config: Any, names: tuple[str, str, str]) -> nn.Module:  # noqa: ANN401 - as above
    width, wide, heads = config.hidden_size, config.intermediate_size, config.num_attention_heads

    def output(inner: int) -> nn.Module:
        return _Parts(dense=_Linear(inner, width), LayerNorm=_Norm(width, config.layer_norm_eps))

    maps: dict[str, Any] = {name: _Linear(width, width) for name in names}
    own = _Parts(**maps, num_attention_heads=heads, attention_head_size=width // heads)
    return _Parts(
        attention=_Parts(self=own, output=output(width)),
        intermediate=_Parts(dense=_Linear(width, wide)),
        output=output(wide),
    )
