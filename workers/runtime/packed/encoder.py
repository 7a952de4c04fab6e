"""The blocks that a layer is made of, and the layers before the last."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from workers.runtime.packed.embed import Norm
from workers.runtime.packed.layout import Packed
from workers.runtime.packed.linear import Product

Mixing = Callable[[torch.Tensor, Packed], torch.Tensor]
"""Attention without its output projection: [M, d] -> [M, d]."""


@dataclass(frozen=True, slots=True)
class Tail:
    """What follows attention in a layer, row by row: output projection, feed-forward, two normalisations."""

    out: Product
    out_norm: Norm
    feed: Product
    """Up, GELU, and down again."""
    feed_norm: Norm

    def __call__(self, mixed: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """The layer's result for rows `x` [M, d] and what attention mixed for them [M, d]: [M, d]."""
        y = self.out_norm.of_sum(self.out(mixed), x)
        return self.feed_norm.of_sum(self.feed(y), y)


@dataclass(frozen=True, slots=True)
class Layer:
    """One transformer layer over all rows."""

    mix: Mixing
    tail: Tail

    def __call__(self, x: torch.Tensor, packed: Packed) -> torch.Tensor:
        """[M, d] -> [M, d]."""
        return self.tail(self.mix(x, packed), x)
