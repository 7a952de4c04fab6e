"""Matrix products with weights laid out once for the processor: oneDNN's blocked layout on a CPU, plain elsewhere."""

from collections.abc import Callable
from functools import cache
from typing import Final

import torch
from torch.nn import functional

Product = Callable[[torch.Tensor], torch.Tensor]

_ROWS_HINT: Final = 1024
"""For how many rows oneDNN lays weights out; the layout serves any number."""


def linear(weight: torch.Tensor, bias: torch.Tensor | None, *, gelu: bool = False) -> Product:
    """The map x [M, K] -> x Wᵀ + b [M, N] for W [N, K], followed by the exact (erf) GELU where asked."""
    if weight.device.type == "cpu" and _onednn_works(weight.dtype):
        return _blocked_linear(weight, bias, gelu=gelu)
    return plain_linear(weight, bias, gelu=gelu)


def grouped(table: torch.Tensor) -> Product:
    """The map x [M, G·K] -> [M, G, R]: each group's slice of x times its own rows of the table [G, R, K]."""
    if table.device.type == "cpu" and _onednn_works(table.dtype):
        return _blocked_grouped(table)
    return _plain_grouped(table)


def plain_linear(weight: torch.Tensor, bias: torch.Tensor | None, *, gelu: bool = False) -> Product:
    """As `linear`, with the weights as they are: for so few rows that a second layout does not pay."""

    def product(x: torch.Tensor) -> torch.Tensor:
        y = functional.linear(x, weight, bias)
        return functional.gelu(y) if gelu else y

    return product


def _blocked_linear(weight: torch.Tensor, bias: torch.Tensor | None, *, gelu: bool) -> Product:
    blocked = torch.ops.mkldnn._reorder_linear_weight(weight, _ROWS_HINT)  # noqa: SLF001 - no public name exists
    after: tuple[str, list[float], str] = ("gelu", [], "none") if gelu else ("none", [], "")

    def product(x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, blocked, bias, *after)  # noqa: SLF001 - as above
        return y

    return product


def _plain_grouped(table: torch.Tensor) -> Product:
    groups, _, inner = table.shape
    columns = table.transpose(1, 2)

    def product(x: torch.Tensor) -> torch.Tensor:
        return torch.bmm(x.view(-1, groups, inner).transpose(0, 1), columns).transpose(0, 1)

    return product


def _blocked_grouped(table: torch.Tensor) -> Product:
    # A grouped 1 x 1 convolution over channels-last rows is this product, reads the rows where they are, and runs at
    # 3 to 4 times the speed of a batched product.
    groups, reach, inner = table.shape
    shape = ([0, 0], [1, 1], [1, 1], groups)
    kernels = table.reshape(groups * reach, inner, 1, 1)
    size = [1, groups * inner, 1, _ROWS_HINT]
    blocked = torch.ops.mkldnn._reorder_convolution_weight(kernels, *shape, size)  # noqa: SLF001 - as above

    def product(x: torch.Tensor) -> torch.Tensor:
        image = x.t()[None, :, None, :]
        y = torch.ops.mkldnn._convolution_pointwise(image, blocked, None, *shape, "none", [], "")  # noqa: SLF001
        rows: torch.Tensor = y[0, :, 0].t().contiguous()
        return rows.view(-1, groups, reach)

    return product


@cache
def _onednn_works(dtype: torch.dtype) -> bool:
    """Whether this build's oneDNN operators exist and agree with the plain products in `dtype`."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    generator = torch.Generator().manual_seed(0)
    x, w, b = (torch.randn(*size, generator=generator).to(dtype) for size in ((5, 32), (8, 32), (8,)))
    table = w.view(2, 8, 16)
    try:
        pairs = [
            (_blocked_linear(w, b, gelu=True)(x), plain_linear(w, b, gelu=True)(x)),
            (_blocked_grouped(table)(x), _plain_grouped(table)(x)),
        ]
    except (AttributeError, RuntimeError):
        return False
    tolerance = 16 * torch.finfo(dtype).eps
    return all(torch.allclose(ours, plain, rtol=tolerance, atol=tolerance) for ours, plain in pairs)
