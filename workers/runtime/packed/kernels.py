"""Kernels of a GPU in Triton, which comes with torch for CUDA: attention over packed rows, and x + y normalised.

Import this where a GPU is: Triton is not there without one.
"""

from typing import Final

import torch
import triton
import triton.language as tl

_LEAST: Final = 16
"""Of rows and columns that a product on the GPU has."""
_SHORT: Final = 32


def attend_rows(
    qkv: torch.Tensor,
    products: torch.Tensor | None,
    starts: torch.Tensor,
    lengths: torch.Tensor,
    *,
    heads: int,
    longest: int,
) -> torch.Tensor:
    """softmax(Q Kᵀ + positions) V of each example with itself alone, over the rows of all: [M, 3·H·D] -> [M, H·D].

    Queries come scaled. Sums are float32, and so are the products of float32, unless torch may take TF32 for them.
    Example b has `lengths[b]` rows from `starts[b]`, int64 [B]. `products` are those of `longest`, [2·H, M, R] as in
    disentangled.py: query i and key j add [h, i, longest - 1 - (i - j)] and [H + h, j, longest - 1 + (i - j)] of them.
    """
    width = qkv.shape[1] // 3
    out = qkv.new_empty(len(qkv), width)
    precision = "ieee" if torch.get_float32_matmul_precision() == "highest" else "tf32"
    tile, warps = _tile(qkv.dtype, precision, longest)
    _attend[(len(starts) * triton.cdiv(longest, tile), heads)](
        qkv,
        qkv if products is None else products,
        out,
        starts,
        lengths,
        0 if products is None else products.stride(0),
        0 if products is None else products.stride(1),
        longest,
        HEADS=heads,
        SIZE=width // heads,
        PADDED=max(_LEAST, triton.next_power_of_2(width // heads)),
        TILE=tile,
        RELATIVE=products is not None,
        PRECISION=precision,
        num_warps=warps,
    )
    return out


def _tile(dtype: torch.dtype, precision: str, longest: int) -> tuple[int, int]:
    """How many queries and keys at once, and by how many warps: the fastest of those tried on an H200."""
    if dtype is torch.float32:
        return (16, 1) if precision == "ieee" else (32, 2)
    return (_SHORT, 4) if longest <= _SHORT else (64, 2)


def norm_of_sum(y: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float) -> torch.Tensor:
    """Layer normalisation of x + y, each [M, d]; the sum and its moments are float32: [M, d]."""
    out = torch.empty_like(x)
    _norm_of_sum[(len(x),)](y, x, weight, bias, out, eps, WIDTH=x.shape[1], PADDED=triton.next_power_of_2(x.shape[1]))
    return out


@triton.jit(do_not_specialize=["head_stride", "row_stride", "longest"])
def _attend(
    qkv,
    products,
    out,
    starts,
    lengths,
    head_stride,
    row_stride,
    longest,
    HEADS: tl.constexpr,
    SIZE: tl.constexpr,
    PADDED: tl.constexpr,
    TILE: tl.constexpr,
    RELATIVE: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """One tile of queries of one example and head against all of its keys, with a running softmax."""
    tiles = tl.cdiv(longest, TILE)
    example, head = tl.program_id(0) // tiles, tl.program_id(1)
    start, length = tl.load(starts + example), tl.load(lengths + example).to(tl.int32)
    first = (tl.program_id(0) % tiles) * TILE
    if first >= length:
        return
    width: tl.constexpr = HEADS * SIZE
    i, d, step = first + tl.arange(0, TILE), tl.arange(0, PADDED), tl.arange(0, TILE)
    asking = i < length
    # Large offsets by the example and head alone: those of the tile are small, and stay in 32 bits.
    own = qkv + head * SIZE + start * (3 * width)
    q = tl.load(own + i[:, None] * (3 * width) + d[None, :], mask=asking[:, None] & (d < SIZE)[None, :], other=0.0)
    to_position = products + head * head_stride.to(tl.int64) + start * row_stride + longest - 1
    from_position = to_position + HEADS * head_stride.to(tl.int64)
    best = tl.full([TILE], float("-inf"), tl.float32)
    total = tl.zeros([TILE], tl.float32)
    mixed = tl.zeros([TILE, PADDED], tl.float32)
    for begin in range(0, length, TILE):
        j = begin + step
        there = j < length
        inside = there[:, None] & (d < SIZE)[None, :]
        k = tl.load(own + width + j[:, None] * (3 * width) + d[None, :], mask=inside, other=0.0)
        scores = tl.dot(q, tl.trans(k), input_precision=PRECISION)
        if RELATIVE:
            # In rows of the products neighbours are neighbouring keys, or queries: the second are turned.
            asked = to_position + (i * (row_stride - 1))[:, None] + j[None, :]
            scores += tl.load(asked, mask=asking[:, None] & there[None, :], other=0.0).to(tl.float32)
            asking_back = from_position + (j * (row_stride - 1))[:, None] + i[None, :]
            turned = tl.load(asking_back, mask=there[:, None] & asking[None, :], other=0.0)
            scores += tl.trans(turned).to(tl.float32)
        scores = tl.where(there[None, :], scores, float("-inf"))
        newest = tl.maximum(best, tl.max(scores, 1))
        shares = tl.exp(scores - newest[:, None])
        shrunk = tl.exp(best - newest)
        total = total * shrunk + tl.sum(shares, 1)
        v = tl.load(own + 2 * width + j[:, None] * (3 * width) + d[None, :], mask=inside, other=0.0)
        mixed = mixed * shrunk[:, None] + tl.dot(shares.to(v.dtype), v, input_precision=PRECISION)
        best = newest
    found = out + head * SIZE + start * width + i[:, None] * width + d[None, :]
    mixed = (mixed / total[:, None]).to(out.dtype.element_ty)
    tl.store(found, mixed, mask=asking[:, None] & (d < SIZE)[None, :])


@triton.jit
def _norm_of_sum(y, x, weight, bias, out, eps, WIDTH: tl.constexpr, PADDED: tl.constexpr):
    """One row."""
    column = tl.arange(0, PADDED)
    inside = column < WIDTH
    at = tl.program_id(0).to(tl.int64) * WIDTH + column
    value = tl.load(y + at, mask=inside, other=0.0).to(tl.float32) + tl.load(x + at, mask=inside, other=0.0).to(
        tl.float32
    )
    apart = tl.where(inside, value - tl.sum(value, 0) / WIDTH, 0.0)
    scaled = apart * tl.rsqrt(tl.sum(apart * apart, 0) / WIDTH + eps)
    w, b = (
        tl.load(weight + column, mask=inside, other=0.0).to(tl.float32),
        tl.load(bias + column, mask=inside, other=0.0).to(tl.float32),
    )
    tl.store(out + at, (scaled * w + b).to(out.dtype.element_ty), mask=inside)
