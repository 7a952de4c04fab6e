"""The sums around Strassen's seven products, in C: strassen.h says what they are and in which order."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import torch

from workers.runtime.packed.native import Native, shared

PRODUCTS: Final = 7
_LINE: Final = 16
"""Numbers of one line of the cache."""
STEP: Final = 2 * _LINE
"""Widths are multiples of it: half a row is whole lines."""


class Factors(NamedTuple):
    """What a matrix [M, K] is split into: seven matrices [⌈M / 2⌉, K / 2], float32."""

    parts: tuple[torch.Tensor, ...]
    scales: torch.Tensor
    """The powers of two that the rows were divided by: those of the upper half, then the lower, [2⌈M / 2⌉]."""
    rows: int
    """M."""


@dataclass(frozen=True, slots=True)
class Joining:
    """How the seven products become rows of N numbers."""

    native: Native
    sizes: torch.Tensor
    """What the columns are multiplied by, [N]."""
    bias: torch.Tensor
    """[N]."""

    def join(self, products: Sequence[torch.Tensor], factors: Factors) -> torch.Tensor:
        """The product [M, N] of factors [⌈M / 2⌉, K / 2], of its seven products [⌈M / 2⌉, N / 2]."""
        half, width, pointers = self._taken(products, factors)
        joined = torch.empty(factors.rows, width)
        function = self.native.function("join")

        def part(first: int, last: int) -> None:
            function(*pointers, factors.rows, width, half, first, last, joined.data_ptr())

        shared(half, part)
        return joined

    def join_gelu_split(self, products: Sequence[torch.Tensor], factors: Factors) -> Factors:
        """The factors of the exact GELU of what `join` gives."""
        half, width, pointers = self._taken(products, factors)
        made, apart, out = _room(half, width // 2, factors.rows)
        function = self.native.function("join_gelu_split")

        def part(first: int, last: int) -> None:
            room = torch.empty(2 * width)
            function(
                *(*pointers, factors.rows, width, half, first, last, apart),
                *(out, made.scales.data_ptr(), room.data_ptr()),
            )

        shared(half, part)
        return made

    def _taken(
        self, products: Sequence[torch.Tensor], factors: Factors
    ) -> tuple[int, int, tuple["ctypes.Array[ctypes.c_void_p]", int, int, int]]:
        half, middle = products[0].shape
        for one in products:
            _require(one, 2 * middle)
        if len(products) != PRODUCTS or any(one.shape != (half, middle) or not one.is_contiguous() for one in products):
            msg = f"{PRODUCTS} products of one shape are joined"
            raise ValueError(msg)
        if self.bias.shape != (2 * middle,) or factors.parts[0].shape[0] != half:
            msg = f"a bias of {tuple(self.bias.shape)} and {factors.rows} rows are not for products of {half}, {middle}"
            raise ValueError(msg)
        pointers = (ctypes.c_void_p * PRODUCTS)(*(one.data_ptr() for one in products))
        others = (self.sizes.data_ptr(), self.bias.data_ptr(), factors.scales.data_ptr())
        return half, 2 * middle, (pointers, *others)


def split(native: Native, x: torch.Tensor) -> Factors:
    """The factors of float32 rows [M, K], K a multiple of 32."""
    x = x.contiguous()
    rows, width = x.shape
    _require(x, width)
    half = -(-rows // 2)
    made, apart, out = _room(half, width // 2, rows)
    function = native.function("split")

    def part(first: int, last: int) -> None:
        function(x.data_ptr(), rows, width, half, first, last, apart, out, made.scales.data_ptr())

    shared(half, part)
    return made


def _room(half: int, middle: int, rows: int) -> tuple[Factors, int, int]:
    """Factors to be filled, how many numbers they are apart, and where the first is.

    A line more than they are long, because seven that are a power of two apart share the same places in a cache.
    """
    apart = half * middle + _LINE
    memory = torch.empty(PRODUCTS * apart)
    parts = tuple(memory[start : start + half * middle].view(half, middle) for start in range(0, len(memory), apart))
    return Factors(parts, torch.empty(2 * half), rows), apart, memory.data_ptr()


def _require(x: torch.Tensor, width: int) -> None:
    if width % STEP or x.dtype is not torch.float32:
        msg = f"rows of {width} in {x.dtype} are not for these kernels"
        raise ValueError(msg)
