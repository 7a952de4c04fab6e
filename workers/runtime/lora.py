"""Merge a plain LoRA adapter into its base as the weights are laid out, without peft, whose import takes seconds.

W becomes W + s·B·A with s = alpha/r, or alpha/√r for rank-stabilised adapters (Hu et al. 2021; Kalajdzievski 2023),
by the operations that peft uses and in their order. Whatever is not surely such an adapter is left to peft.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import nn

from workers.runtime.packed.bare import BareModel
from workers.runtime.packed.numbers import Numbers
from workers.runtime.weights import Stored

_PREFIX: Final = "base_model.model."
_DOWN, _UP = ".lora_A.weight", ".lora_B.weight"
_FREE: Final = {
    *("base_model_name_or_path", "revision", "inference_mode", "peft_version", "megatron_core", "qalora_group_size"),
    *("lora_dropout", "lora_alpha", "r", "target_modules", "modules_to_save", "use_rslora", "auto_mapping"),
}
"""What changes nothing here, or is read below."""
_OFF: Final = {
    *("alora_invocation_tokens", "alpha_pattern", "arrow_config", "corda_config", "eva_config"),
    *("ensure_weight_tying", "exclude_modules", "fan_in_fan_out", "kasa_config", "layer_replication", "layers_pattern"),
    *("layers_to_transform", "loftq_config", "lora_bias", "lora_ga_config", "megatron_config", "monteclora_config"),
    *("rank_pattern", "target_parameters", "trainable_token_indices", "use_bdlora", "use_dora", "use_qalora"),
    "velora_config",
}
"""What has to be off."""
_ONE_OF: Final[dict[str, tuple[object, ...]]] = {
    "peft_type": ("LORA",),
    "task_type": (None, "SEQ_CLS"),
    "bias": ("none",),
    # The others change the base's weights before the adapter is there.
    "init_lora_weights": (True, False, "gaussian"),
}
_LEFT_OUT: Final = frozenset({"embeddings.position_ids"})
"""Older checkpoints hold this buffer, which counts from 0."""


@dataclass(frozen=True, slots=True)
class Merged:
    """A stored matrix and the two narrow ones whose product is added to it."""

    base: Stored
    down: Stored
    up: Stored
    scale: float

    @property
    def shape(self) -> tuple[int, ...]:
        """As of the base."""
        return self.base.shape

    @property
    def dtype(self) -> torch.dtype | None:
        """None where one of them holds no floats."""
        return None if None in {self.down.dtype, self.up.dtype} else self.base.dtype

    def read(self, out: torch.Tensor | None = None) -> torch.Tensor:
        """As Numbers has it."""
        return self.base.read(out).add_((self.up.read() @ self.down.read()) * self.scale)


def merged_weights(
    model: BareModel, settings: Mapping[str, Any], base: Mapping[str, Stored], adapter: Mapping[str, Stored]
) -> dict[str, Numbers] | None:
    """The weights of `model` by name: the base's, with the adapter's products added and its whole modules put in.

    `settings` is adapter_config.json. None where that asks for anything else, or the adapter's file holds anything
    else than what it asks for.
    """
    if not _plain(settings):
        return None
    targets, kept = _targets(model, settings), _kept(model, settings)
    if targets is None:
        return None
    asked = {_PREFIX + name for name in kept} | {_PREFIX + name + end for name in targets for end in (_DOWN, _UP)}
    if asked != adapter.keys():
        return None
    weights: dict[str, Numbers] = {**_named(model, base), **{name: adapter[_PREFIX + name] for name in kept}}
    for name in targets:
        below, (down, up) = weights.get(f"{name}.weight"), (adapter[_PREFIX + name + end] for end in (_DOWN, _UP))
        if not isinstance(below, Stored):
            return None
        rank = settings["r"]
        if (up.shape, down.shape) != ((*below.shape[:1], rank), (rank, *below.shape[1:])):
            return None
        weights[f"{name}.weight"] = Merged(below, down, up, _scale(settings))
    return weights


def _plain(settings: Mapping[str, Any]) -> bool:
    known = settings.keys() <= _FREE | _OFF | _ONE_OF.keys() and not any(settings.get(name) for name in _OFF)
    named = all(settings.get(name, values[0]) in values for name, values in _ONE_OF.items())
    rank, alpha = settings.get("r"), settings.get("lora_alpha")
    numbers = type(rank) is int and rank > 0 and type(alpha) in {int, float}
    lists = [settings.get("target_modules"), settings.get("modules_to_save") or []]
    named_modules = all(isinstance(one, list) and all(isinstance(name, str) for name in one) for one in lists)
    return known and named and numbers and named_modules


def _scale(settings: Mapping[str, Any]) -> float:
    rank: int = settings["r"]
    scale: float = settings["lora_alpha"] / (math.sqrt(rank) if settings.get("use_rslora") else rank)
    return scale


def _targets(model: BareModel, settings: Mapping[str, Any]) -> list[str] | None:
    """The linear maps that are adapted; None where something else is meant as well."""
    ends = tuple(f".{target}" for target in settings["target_modules"])
    found = [(name, part) for name, part in model.named_modules() if f".{name}".endswith(ends)]
    whole = {name.rpartition(".")[0] for name in _kept(model, settings)}
    usual = all(isinstance(part, nn.Linear) and name not in whole for name, part in found)
    return [name for name, _ in found] if usual else None


def _kept(model: BareModel, settings: Mapping[str, Any]) -> list[str]:
    """The parameters of the modules that the adapter brings whole."""
    # For a task peft adds the classifiers' names.
    ends = (*(settings.get("modules_to_save") or ()), *(("classifier", "score") if settings.get("task_type") else ()))
    above = [f"{name}." for name, _ in model.named_modules() if name.endswith(ends)]
    return [name for name, _ in model.named_parameters() if name.startswith(tuple(above))]


def _named(model: BareModel, base: Mapping[str, Stored]) -> dict[str, Stored]:
    """The base's tensors by the model's names: a base without a classifier has them without a prefix."""
    prefix = "" if any(name.startswith(model.prefix) for name in base) else model.prefix
    return {prefix + name: stored for name, stored in base.items() if name not in _LEFT_OUT}
