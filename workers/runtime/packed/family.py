"""What differs between BERT, RoBERTa and DeBERTa-v2/v3 beside the layers that they share."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from workers.runtime.packed.embed import counted, counted_past
from workers.runtime.packed.positions import Buckets


@dataclass(frozen=True, slots=True)
class Relative:
    """The relative positions of a DeBERTa."""

    buckets: Buckets
    table: torch.Tensor
    """Normalised where the model does, float32 [2·span, d]."""


@dataclass(frozen=True, slots=True)
class Family:
    """How to read one supported model."""

    projections: tuple[str, str, str]
    """The names of the query, key and value maps."""
    rule: Callable[[NDArray[np.int32]], NDArray[np.int64]]
    """As in Positions."""
    head: nn.Module
    """The model's own pooler and classifier: hidden states [B, L, d] -> logits [B, C]; reads the first token."""
    relative: Relative | None = None

    def scale(self, head_size: int) -> float:
        """1/√D, or 1/√(3D) where content and each direction of position have a part (He et al. 2020, eq. 4)."""
        return 1 / math.sqrt(head_size * (1 if self.relative is None else 3))


def family(model: Any) -> Family:  # noqa: ANN401 - torch types submodules as Tensor | Module
    """How to read `model`, which is supported."""
    config: Any = model.config
    if config.model_type == "deberta-v2":
        names = ("query_proj", "key_proj", "value_proj")
        return Family(names, counted, nn.Sequential(model.pooler, model.classifier), _relative(model.deberta.encoder))
    names = ("query", "key", "value")
    if config.model_type == "roberta":
        return Family(names, counted_past(config.pad_token_id), model.classifier)
    return Family(names, counted, nn.Sequential(model.bert.pooler, model.classifier))


def _relative(encoder: Any) -> Relative:  # noqa: ANN401 - as above
    buckets = Buckets(encoder.position_buckets, encoder.max_relative_positions)
    with torch.no_grad():
        table = encoder.rel_embeddings.weight.float()
        if hasattr(encoder, "LayerNorm"):
            table = encoder.LayerNorm(table)
    return Relative(buckets, table[: 2 * buckets.span])
