"""Ids to the first hidden states: the sum of the embedding tables, normalised."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from workers.runtime.packed.layout import Packed
from workers.runtime.packed.numbers import Rows


@dataclass(frozen=True, slots=True)
class Norm:
    """Layer normalisation with the model's own weight, bias and epsilon: [M, d] -> [M, d]."""

    weight: torch.Tensor
    bias: torch.Tensor
    eps: float

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Each row normalised: [M, d] -> [M, d]."""
        return functional.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)

    def of_sum(self, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """The rows of x + y normalised, each [M, d]; y is spent: [M, d]."""
        return self(y.to(x.dtype).add_(x))


@dataclass(frozen=True, slots=True)
class Embeddings:
    """The embedding tables of one model; position and segment tables where it has them."""

    words: torch.Tensor | Rows
    """Rows where they are in their file until they are asked for."""
    positions: torch.Tensor | None
    types: torch.Tensor | None
    norm: Norm

    def __call__(self, packed: Packed) -> torch.Tensor:
        """The hidden states before the first layer: [M, d]."""
        ids, words = packed.input_ids, self.words
        x = words.take(ids) if isinstance(words, Rows) else functional.embedding(ids, words)
        x = x.to(self.norm.weight.dtype)
        if self.types is not None:
            # Some tokenizers mark the second text even for models that know a single type: it is the same as none.
            x += self.types if len(self.types) == 1 else functional.embedding(packed.token_type_ids, self.types)
        if self.positions is not None and packed.positions is not None:
            x += functional.embedding(packed.positions, self.positions)
        return self.norm(x)


def counted(ids: NDArray[np.int32]) -> NDArray[np.int64]:
    """Positions 0, 1, 2, …: BERT and DeBERTa."""
    return np.arange(len(ids), dtype=np.int64)


def counted_past(padding_id: int) -> Callable[[NDArray[np.int32]], NDArray[np.int64]]:
    """Positions from `padding_id` + 1: RoBERTa, whose padding token takes no position wherever it stands."""

    def rule(ids: NDArray[np.int32]) -> NDArray[np.int64]:
        real: NDArray[np.int64] = (ids != padding_id).astype(np.int64)
        counted_real: NDArray[np.int64] = np.cumsum(real) * real
        return counted_real + padding_id

    return rule
