"""How many operations the answers need at the least, and how fast this machine multiplies matrices."""

from time import process_time

import torch

from evaluator.shapes import Shape

_SIZES = ((1024, 384, 1536), (1024, 768, 3072), (1024, 1024, 4096), (2048, 2048, 2048))
_SECONDS = 0.4


def least_operations(shape: Shape, lengths: list[int]) -> float:
    """Floating-point operations of the exact packed form over examples of these lengths.

    A layer but the last: 24 d² L for the linear maps, 4 L² d for attention, 8 L² d more for position where it takes
    part. The last, for one token: 24 d² for its linear maps, and 4 L d H (6 with position) for attention without keys
    and values. The classifier is left out. That is less than transformers does, and less than the formula that counts
    keys and values in the last layer.
    """
    width = shape.width
    mixing, last = (12, 6) if shape.disentangled else (4, 4)
    return sum(
        (shape.layers - 1) * (24 * width**2 * length + mixing * length**2 * width)
        + 24 * width**2
        + last * length * width * shape.heads
        for length in lengths
    )


def multiply_rates() -> dict[str, float]:
    """Operations a second of CPU time in matrix products, best of several sizes, by dtype and route."""
    rates = {}
    for dtype in (torch.float32, torch.bfloat16):
        for route in ("plain", "blocked"):
            best = max(_rate(sizes, dtype, blocked=route == "blocked") for sizes in _SIZES)
            rates[f"{str(dtype).removeprefix('torch.')} {route}"] = best
    return rates


def _rate(sizes: tuple[int, int, int], dtype: torch.dtype, *, blocked: bool) -> float:
    rows, inner, columns = sizes
    x, weight = torch.randn(rows, inner, dtype=dtype), torch.randn(columns, inner, dtype=dtype)
    operators = torch.ops.mkldnn
    if blocked:
        weight = operators._reorder_linear_weight(weight, rows)  # noqa: SLF001 - no public name exists
    best, spent = 0.0, 0.0
    while spent < _SECONDS:
        began = process_time()
        for _ in range(4):
            if blocked:
                operators._linear_pointwise(x, weight, None, "none", [], "")  # noqa: SLF001 - as above
            else:
                torch.nn.functional.linear(x, weight)
        took = process_time() - began
        best, spent = max(best, 8 * rows * inner * columns / took), spent + took
    return best
