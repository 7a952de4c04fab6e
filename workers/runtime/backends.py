"""Choose what a model runs on: the exact packed path where the architecture has one, transformers where not."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from app.protocol.driver import DType
from workers.runtime.backend import Backend, TokenizedExample
from workers.runtime.memory import keep_few_products, keep_freed_memory, return_freed_memory
from workers.runtime.packed import packed_backend
from workers.runtime.packed.bare import BareModel
from workers.runtime.packed.keeper import Weights
from workers.runtime.packed.numbers import Rows
from workers.runtime.transformers_backend import TransformersBackend

STREAMED_FROM: Final = 1 << 29
"""Bytes of float32 that are not kept beside a lower dtype on a CPU, but read from the page cache by the few batches
that need them. What is less fits into the GiB that a run may take beside its weights."""
_LOWER: Final = {DType.float16: torch.float16, DType.bfloat16: torch.bfloat16}


@dataclass(frozen=True, slots=True)
class Backends:
    """`quick` runs in the wanted dtype, `exact` in float32; they are one where float32 is wanted."""

    quick: Backend
    exact: Backend
    name: str
    """`packed` or `transformers`."""
    kernels: str
    """What computes attention: `avx512` or `avx2` (ours in C), `triton` (ours for a GPU), or `torch`."""
    products: str
    """How rows of many tokens are multiplied in float32: by `strassen`'s seven, or `plain`."""


def build_backends(
    model: Any,  # noqa: ANN401 - untyped library
    *,
    device: torch.device,
    dtype: DType,
    longest: int | None = None,
) -> Backends:
    """Build what the run needs, for examples of up to `longest` tokens.

    The model (float32, on the CPU) is spent: do not use it afterwards.
    """
    if device.type == "cpu":
        keep_freed_memory()
        keep_few_products()
    lower = _build(model, device, _LOWER[dtype], spend=False, longest=longest).quick if dtype in _LOWER else None
    found = _build(
        model, device, torch.float32, spend=True, longest=longest, weights=_exact_weights(model, device, lower)
    )
    if dtype is DType.tf32:
        lower = TensorFloatBackend(found.exact)
    if device.type == "cpu":
        # What the layers passed through on their way.
        return_freed_memory()
    return found if lower is None else replace(found, quick=lower)


def _exact_weights(model: Any, device: torch.device, lower: Backend | None) -> Weights:  # noqa: ANN401 - as above
    """What becomes of the weights in float32: beside a lower dtype of its own, for the batches that are run again."""
    if lower is None:
        return Weights.fast
    streams = device.type == "cpu" and isinstance(model, BareModel) and _is_large(model)
    return Weights.streamed if streams else Weights.small


def _is_large(model: BareModel) -> bool:
    layers = (one for one in model.stored.values() if not isinstance(one, Rows))
    return sum(4 * prod(one.shape) for one in layers) > STREAMED_FROM


@dataclass(frozen=True, slots=True)
class TensorFloatBackend:
    """A float32 back end whose matrix products may run in TF32: the same weights, less exact arithmetic."""

    exact: Backend

    def logits(self, batch: Sequence[TokenizedExample]) -> NDArray[np.float32]:
        """The logits of each example, float32 [B, C], in the checkpoint's own label order."""
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high")
        try:
            return self.exact.logits(batch)
        finally:
            torch.set_float32_matmul_precision(before)


def _build(
    model: Any,  # noqa: ANN401 - as above
    device: torch.device,
    dtype: torch.dtype,
    *,
    spend: bool,
    longest: int | None,
    weights: Weights = Weights.fast,
) -> Backends:
    packed = packed_backend(model, device=device, dtype=dtype, spend=spend, longest=longest, weights=weights)
    if packed is not None:
        return Backends(packed, packed, "packed", packed.model.kernels, packed.model.products)
    plain = TransformersBackend(model if spend else deepcopy(model), device=device, dtype=dtype)
    return Backends(plain, plain, "transformers", "torch", "plain")
