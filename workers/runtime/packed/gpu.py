"""The packed forward's parts as kernels of a GPU, where Triton works: no loop over spans, no sums apart."""

import logging
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Final

import torch
from torch.nn import functional

from workers.runtime.packed.embed import Norm
from workers.runtime.packed.encoder import Mixing, Tail
from workers.runtime.packed.layout import Packed
from workers.runtime.packed.linear import Product
from workers.runtime.packed.positions import Projections

_LOG: Final = logging.getLogger(__name__)
_TOLERANCE: Final = 0.01
"""Of products in float16."""


@cache
def kernels_for(device: torch.device) -> ModuleType | None:
    """The kernels, where this machine can build them for `device` and they give what plain operations give.

    Triton comes with torch for CUDA, and needs a C compiler. Without it the spans of a batch are gone through one by
    one, with the same result.
    """
    if device.type != "cuda":
        return None
    try:
        from workers.runtime.packed import kernels  # noqa: PLC0415 - there is no Triton without a GPU

        _check(kernels, device)
    except Exception as error:  # noqa: BLE001 - whatever is missing for compiling: each system has its own way to fail
        _LOG.warning("the kernels of the GPU are not used, and it will take longer: %s", error)
        return None
    return kernels


def _check(kernels: ModuleType, device: torch.device) -> None:
    """Raise ValueError where float16 by them is not plain float32, on two examples of 17 and 40 rows."""
    generator = torch.Generator().manual_seed(0)
    heads, size, lengths = 2, 16, (17, 40)
    qkv = torch.randn(sum(lengths), 3 * heads * size, generator=generator).to(device)
    starts, sizes = (torch.tensor(numbers, device=device) for numbers in ((0, lengths[0]), lengths))
    found = kernels.attend_rows(qkv.half(), None, starts, sizes, heads=heads, longest=max(lengths)).float()
    parts = []
    for part in torch.split(qkv, list(lengths)):
        q, k, v = part.view(len(part), 3 * heads, size).transpose(0, 1).chunk(3)
        mixed = torch.softmax(q @ k.transpose(1, 2), dim=-1) @ v
        parts.append(mixed.transpose(0, 1).flatten(1))
    x, weight, bias = qkv[:, : heads * size].contiguous(), qkv[0, : heads * size], qkv[1, : heads * size]
    normed = kernels.norm_of_sum(found, x, weight, bias, 1e-7)
    plain = functional.layer_norm(x + torch.cat(parts), weight.shape, weight, bias, 1e-7)
    changes = torch.stack([(found - torch.cat(parts)).abs().max(), (normed - plain).abs().max()])
    if not (changes <= _TOLERANCE).all():
        msg = f"they are off by {changes.tolist()}"
        raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class FusedNorm(Norm):
    """As Norm, the sum made in the same pass."""

    kernels: ModuleType

    def of_sum(self, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """The rows of x + y normalised, each [M, d]: [M, d]."""
        normed: torch.Tensor = self.kernels.norm_of_sum(y, x, self.weight, self.bias, self.eps)
        return normed


@dataclass(frozen=True, slots=True)
class FusedAttention:
    """What ContentAttention and, with projections, DisentangledAttention give, for all spans at once."""

    qkv: Product
    """[M, d] -> [M, 3d]."""
    head_count: int
    projections: Projections | None
    kernels: ModuleType

    def __call__(self, x: torch.Tensor, packed: Packed) -> torch.Tensor:
        """The mixed rows: [M, d] -> [M, d]."""
        qkv, longest = self.qkv(x), packed.longest
        products = None
        if self.projections is not None:
            heads = qkv.view(len(qkv), 3 * self.head_count, -1).transpose(0, 1)
            # A copy of the table, because products of one that begins anywhere take three times as long.
            table = self.projections.columns(longest).contiguous()
            products = torch.bmm(heads[: 2 * self.head_count], table)
        mixed: torch.Tensor = self.kernels.attend_rows(
            qkv, products, packed.first_rows, packed.lengths, heads=self.head_count, longest=longest
        )
        return mixed


@dataclass(frozen=True, slots=True)
class LastLayer:
    """What FirstTokenLayer gives. Keys and values of all rows are a hundredth more work, and far fewer kernels."""

    mix: Mixing
    tail: Tail

    def __call__(self, x: torch.Tensor, packed: Packed) -> torch.Tensor:
        """The first token of each example after the last layer: [M, d] -> [B, d]."""
        mixed = self.mix(x, packed)
        return self.tail(mixed.index_select(0, packed.first_rows), x.index_select(0, packed.first_rows))
