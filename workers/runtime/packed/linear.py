"""Matrix products with weights laid out once for the processor: oneDNN's blocked layout on a CPU, plain elsewhere."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Final

import torch
from torch.nn import functional

from workers.runtime.packed.numbers import Scaled, scratch, stacked

Product = Callable[[torch.Tensor], torch.Tensor]

_ROWS_HINT: Final = 1024
"""For how many rows oneDNN lays weights out; the layout serves any number."""


def linear(weight: torch.Tensor, bias: torch.Tensor | None, *, gelu: bool = False) -> Product:
    """The map x [M, K] -> x Wᵀ + b [M, N] for W [N, K], followed by the exact (erf) GELU where asked.

    In the dtype of W, whatever that of x.
    """
    if weight.device.type == "cpu" and _onednn_works(weight.dtype):
        return _blocked_linear(weight, bias, gelu=gelu)
    return plain_linear(weight, bias, gelu=gelu)


def plain_linear(weight: torch.Tensor, bias: torch.Tensor | None, *, gelu: bool = False) -> Product:
    """As `linear`, with the weights as they are."""

    def product(x: torch.Tensor) -> torch.Tensor:
        y = functional.linear(x.to(weight.dtype), weight, bias)
        return functional.gelu(y) if gelu else y

    return product


def chained(first: Product, second: Product) -> Product:
    """One after the other."""
    return lambda x: second(first(x))


def lays_out(dtype: torch.dtype) -> bool:
    """Whether `linear` keeps a copy of its own of weights of this dtype on the CPU."""
    return _onednn_works(dtype)


def streamed_linear(parts: Sequence[Scaled], bias: torch.Tensor, *, gelu: bool = False) -> Product:
    """As `linear`, in float32 on the CPU, with weights that are read for each product and not kept."""
    rows, columns = sum(part.numbers.shape[0] for part in parts), parts[0].numbers.shape[1]

    def product(x: torch.Tensor) -> torch.Tensor:
        return plain_linear(stacked(parts, scratch(rows, columns)), bias, gelu=gelu)(x)

    return product


def _blocked_linear(weight: torch.Tensor, bias: torch.Tensor | None, *, gelu: bool) -> Product:
    blocked = torch.ops.mkldnn._reorder_linear_weight(weight, _ROWS_HINT)  # noqa: SLF001 - no public name exists
    dtype = weight.dtype
    after: tuple[str, list[float], str] = ("gelu", [], "none") if gelu else ("none", [], "")

    def product(x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x.to(dtype), blocked, bias, *after)  # noqa: SLF001 - as above
        return y

    return product


@cache
def _onednn_works(dtype: torch.dtype) -> bool:
    """Whether this build's oneDNN operators exist and agree with the plain products in `dtype`."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    generator = torch.Generator().manual_seed(0)
    x, w, b = (torch.randn(*size, generator=generator).to(dtype) for size in ((5, 32), (8, 32), (8,)))
    try:
        ours = _blocked_linear(w, b, gelu=True)(x)
    except (AttributeError, RuntimeError):
        return False
    tolerance = 16 * torch.finfo(dtype).eps
    return torch.allclose(ours, plain_linear(w, b, gelu=True)(x), rtol=tolerance, atol=tolerance)
