"""Attention, normalisation and Strassen's sums in C, for AVX2 or AVX-512: built where the project is installed.

attention.h, norm.h and strassen.h say what they do and how. They call nothing, keep nothing, and hold no lock of
Python's.
"""

import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from typing import Final

import torch

_LANES: Final = 8
DTYPES: Final = (torch.float32, torch.bfloat16)
_POINTER, _INT, _LONG, _SIZE = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64, ctypes.c_ssize_t
_TAKEN: Final = {
    "attend": (
        *(_POINTER, _POINTER, _INT, _INT, _INT, _POINTER, _SIZE, _SIZE),
        *(_POINTER, _POINTER, _LONG, _LONG, _POINTER, _LONG),
    ),
    "norm_of_sum": (
        *(_POINTER, _INT, _POINTER, _POINTER, _POINTER, ctypes.c_float),
        *(_LONG, _LONG, _LONG, _POINTER),
    ),
    "split": (_POINTER, *(_LONG,) * 6, _POINTER, _POINTER),
    "join": (*(_POINTER,) * 4, *(_LONG,) * 5, _POINTER),
    "join_gelu_split": (*(_POINTER,) * 4, *(_LONG,) * 6, *(_POINTER,) * 3),
}
"""What the functions take, as attention.h, norm.h and strassen.h declare it."""


@dataclass(frozen=True, slots=True)
class Table:
    """The projections of relative positions by distance δ = query position - key position."""

    numbers: torch.Tensor
    """float32 [H, 2, D, R]: keys and queries, by rising δ."""
    centre: int
    """The column of δ = 0."""


@dataclass(frozen=True, slots=True)
class Native:
    """The kernels for one set of instructions."""

    level: str
    """`avx512` or `avx2`."""
    library: ctypes.CDLL

    def attend(
        self,
        qkv: torch.Tensor,
        table: Table | None,
        starts: torch.Tensor,
        lengths: torch.Tensor,
        *,
        heads: int,
        longest: int,
    ) -> torch.Tensor:
        """What attention mixes for the rows qkv [M, 3·H·D], queries scaled: [M, H·D], in the dtype of qkv.

        D is a multiple of 8. Example b has lengths[b] rows from starts[b] on (int64 [B]), none more than `longest`,
        whose distances the table reaches.
        """
        width = qkv.shape[1] // 3
        size = width // heads
        if not fits(size) or qkv.dtype not in DTYPES:
            msg = f"heads of {size} in {qkv.dtype} are not for these kernels"
            raise ValueError(msg)
        qkv = qkv.contiguous()
        mixed = torch.empty(len(qkv), width, dtype=qkv.dtype)
        padded = -(-longest // _LANES) * _LANES
        function = self.function("attend")
        projected: tuple[int | None, int, int] = (None, 0, 0)
        if table is not None:
            projected = (table.numbers.data_ptr(), table.numbers.shape[3], table.centre)

        def part(first: int, last: int) -> None:
            scratch = torch.empty(padded * (3 * size + padded + 1))
            function(
                qkv.data_ptr(),
                mixed.data_ptr(),
                qkv.dtype is torch.bfloat16,
                heads,
                size,
                *projected,
                starts.data_ptr(),
                lengths.data_ptr(),
                first,
                last,
                scratch.data_ptr(),
                longest,
            )

        shared(len(lengths), part)
        return mixed

    def norm_of_sum(
        self, y: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float
    ) -> torch.Tensor:
        """The rows of x + y normalised, y in float32 or bfloat16 [M, d], x in float32: float32 [M, d]; y is spent."""
        rows, width = x.shape
        if not fits(width) or y.dtype not in DTYPES or x.dtype is not torch.float32:
            msg = f"rows of {width} in {y.dtype} and {x.dtype} are not for these kernels"
            raise ValueError(msg)
        y, x = y.contiguous(), x.contiguous()
        normed = y if y.dtype is torch.float32 else torch.empty_like(x)
        function = self.function("norm_of_sum")

        def part(first: int, last: int) -> None:
            function(
                y.data_ptr(),
                y.dtype is torch.bfloat16,
                x.data_ptr(),
                weight.data_ptr(),
                bias.data_ptr(),
                eps,
                width,
                first,
                last,
                normed.data_ptr(),
            )

        shared(rows, part)
        return normed

    def function(self, name: str) -> Callable[..., None]:
        """The function of this name for this set of instructions."""
        function: Callable[..., None] = getattr(self.library, f"{name}_{self.level}")
        return function


def fits(width: int) -> bool:
    """Whether numbers side by side come in whole vectors."""
    return width % _LANES == 0


def levels() -> tuple[Native, ...]:
    """The kernels that this processor can run, the best first; none where they were not built."""
    spec = find_spec("workers.runtime.packed.native._kernels")
    if spec is None or spec.origin is None:
        return ()
    library = ctypes.CDLL(spec.origin)
    library.level.restype = ctypes.c_char_p
    best = library.level().decode()
    known = {"avx512": ("avx512", "avx2"), "avx2": ("avx2",)}.get(best, ())
    for one in known:
        for name, taken in _TAKEN.items():
            function = getattr(library, f"{name}_{one}")
            function.argtypes, function.restype = taken, None
    return tuple(Native(one, library) for one in known)


def shared(count: int, do: Callable[[int, int], None]) -> None:
    """Do `count` things, each in one of as many threads as torch has for the calling one."""
    threads = min(torch.get_num_threads(), max(1, count))
    ends = [count * number // threads for number in range(threads + 1)]
    own, *rest = pairwise(ends)
    others = [_helpers().submit(do, *piece) for piece in rest]
    try:
        do(*own)
    finally:
        # They write into memory that is the caller's.
        wait(others)
    for other in others:
        other.result()


@cache
def _helpers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_name_prefix="attention")
