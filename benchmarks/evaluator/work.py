"""How many operations the answers need at the least, and how fast this machine multiplies matrices."""

from time import process_time

import torch

from evaluator.shapes import Shape

_SIZES = ((1024, 384, 1536), (1024, 768, 3072), (1024, 1024, 4096), (2048, 2048, 2048))
_WINDOWS, _WINDOW_S = 3, 0.2
"""The CPU time of a process is brought up to date for its other threads at every tick of the kernel, 4 ms: over windows
of 10 ms the best of two threads was up to 40 % more than any core can do."""
_GPU_SIZES = ((16384, 1024, 3072), (16384, 1024, 4096), (16384, 4096, 1024), (8192, 8192, 8192))
_GPU_DTYPES = {
    "float32": torch.float32,
    "TF32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


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


def multiply_rates(device: torch.device) -> dict[str, float]:
    """Operations a second in matrix products, best of several sizes: by dtype, and on a CPU by route, of CPU time."""
    if device.type == "cuda":
        return {name: max(_gpu_rate(sizes, name, device) for sizes in _GPU_SIZES) for name in _GPU_DTYPES}
    # By all threads together, and by one alone: which is the faster by CPU time, because it waits for no other.
    threads = torch.get_num_threads()
    rates = [_cpu_rates(count) for count in {1, threads}]
    torch.set_num_threads(threads)
    return {kind: max(some[kind] for some in rates) for kind in rates[0]}


def _cpu_rates(threads: int) -> dict[str, float]:
    torch.set_num_threads(threads)
    rates = {}
    for dtype in (torch.float32, torch.bfloat16):
        for route in ("plain", "blocked"):
            best = max(_rate(sizes, dtype, blocked=route == "blocked") for sizes in _SIZES)
            rates[f"{str(dtype).removeprefix('torch.')} {route}"] = best
    return rates


def _gpu_rate(sizes: tuple[int, int, int], name: str, device: torch.device) -> float:
    rows, inner, columns = sizes
    torch.set_float32_matmul_precision("high" if name == "TF32" else "highest")
    x, weight = (torch.randn(size, inner, dtype=_GPU_DTYPES[name], device=device) for size in (rows, columns))
    best = 0.0
    for _ in range(4):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for _ in range(8):
            torch.nn.functional.linear(x, weight)
        end.record()
        end.synchronize()
        best = max(best, 8 * 2 * rows * inner * columns / (begin.elapsed_time(end) / 1000))
    return best


def _rate(sizes: tuple[int, int, int], dtype: torch.dtype, *, blocked: bool) -> float:
    rows, inner, columns = sizes
    x, weight = torch.randn(rows, inner, dtype=dtype), torch.randn(columns, inner, dtype=dtype)
    operators = torch.ops.mkldnn
    if blocked:
        weight = operators._reorder_linear_weight(weight, rows)  # noqa: SLF001 - no public name exists
    best = 0.0
    for _ in range(_WINDOWS):
        began, count = process_time(), 0
        while (took := process_time() - began) < _WINDOW_S:
            for _ in range(4):
                if blocked:
                    operators._linear_pointwise(x, weight, None, "none", [], "")  # noqa: SLF001 - as above
                else:
                    torch.nn.functional.linear(x, weight)
            count += 4
        best = max(best, 2 * rows * inner * columns * count / took)
    return best
