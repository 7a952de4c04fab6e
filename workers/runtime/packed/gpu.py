"""The packed forward's parts as kernels of a GPU, where Triton works: no loop over spans, no sums apart."""

import logging
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Final

import torch

from workers.runtime.packed.checking import require_plain
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
    """Raise ValueError where float16 by them is not plain float32."""

    def attend(
        qkv: torch.Tensor, starts: torch.Tensor, lengths: torch.Tensor, *, heads: int, longest: int
    ) -> torch.Tensor:
        mixed: torch.Tensor = kernels.attend_rows(qkv.half(), None, starts, lengths, heads=heads, longest=longest)
        return mixed.float()

    require_plain(attend, kernels.norm_of_sum, device, _TOLERANCE)


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
