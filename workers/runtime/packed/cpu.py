"""The packed forward's parts that are compiled for a CPU, where the project was installed with a C compiler."""

import logging
from dataclasses import dataclass
from functools import cache
from typing import Final

import torch

from workers.runtime.packed.checking import require_plain, require_plain_feed
from workers.runtime.packed.embed import Norm
from workers.runtime.packed.layout import Packed
from workers.runtime.packed.linear import Product, lays_out
from workers.runtime.packed.native import DTYPES, Native, levels
from workers.runtime.packed.positions import Projections
from workers.runtime.packed.strassen import StrassenFeed, strassen

_LOG: Final = logging.getLogger(__name__)
_TOLERANCE: Final = 1e-5


@cache
def native_kernels() -> Native | None:
    """The kernels for this processor, where they were built and give what plain operations give."""
    try:
        found = next(iter(levels()), None)
        if found is not None:
            _check(found)
    except Exception as error:  # noqa: BLE001 - whatever a foreign file does: the plain operations are there
        _LOG.warning("the compiled kernels are not used, and it will take longer: %s", error)
        return None
    if found is None:
        _LOG.info("no compiled kernels: no C compiler at installation, or a processor without AVX2")
    return found


def _check(native: Native) -> None:
    """Raise ValueError where they are not the plain operations."""

    def attend(
        qkv: torch.Tensor, starts: torch.Tensor, lengths: torch.Tensor, *, heads: int, longest: int
    ) -> torch.Tensor:
        return native.attend(qkv, None, starts, lengths, heads=heads, longest=longest)

    def feed(up: torch.Tensor, up_bias: torch.Tensor, down: torch.Tensor, down_bias: torch.Tensor) -> StrassenFeed:
        return StrassenFeed(strassen(up, up_bias, native), strassen(down, down_bias, native))

    require_plain(attend, native.norm_of_sum, torch.device("cpu"), _TOLERANCE)
    if lays_out(torch.float32):
        require_plain_feed(feed, _TOLERANCE)


@dataclass(frozen=True, slots=True)
class CompiledNorm(Norm):
    """As Norm, the sum made in the same pass."""

    native: Native

    def of_sum(self, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """The rows of x + y normalised, each [M, d]: [M, d]."""
        return self.native.norm_of_sum(_known(y), x, self.weight, self.bias, self.eps)


@dataclass(frozen=True, slots=True)
class CompiledAttention:
    """What ContentAttention and, with projections, DisentangledAttention give, for all spans at once."""

    qkv: Product
    """[M, d] -> [M, 3d]."""
    head_count: int
    projections: Projections | None
    native: Native

    def __call__(self, x: torch.Tensor, packed: Packed) -> torch.Tensor:
        """The mixed rows: [M, d] -> [M, d]."""
        table = None if self.projections is None else self.projections.by_distance(packed.longest)
        qkv = _known(self.qkv(x))
        return self.native.attend(
            qkv, table, packed.first_rows, packed.lengths, heads=self.head_count, longest=packed.longest
        )


def _known(x: torch.Tensor) -> torch.Tensor:
    """As float32, unless it is float32 or bfloat16: nobody would run float16 on a CPU for its speed."""
    return x if x.dtype in DTYPES else x.float()
