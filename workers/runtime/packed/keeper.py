"""Keep a model's tensors where and how the packed model reads them: on the device, in its dtype, laid out for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from types import ModuleType
from typing import Any, Final, NamedTuple

import torch
from torch import nn

from workers.runtime.packed.cpu import CompiledNorm, native_kernels
from workers.runtime.packed.embed import Norm
from workers.runtime.packed.gpu import FusedNorm, kernels_for
from workers.runtime.packed.linear import Product, chained, lays_out, linear, streamed_linear
from workers.runtime.packed.native import Native, fits
from workers.runtime.packed.numbers import Numbers, Present, Rows, Scaled, scratch, stacked
from workers.runtime.packed.strassen import StrassenFeed, StrassenProduct, gains, strassen

STRASSEN_ROOM: Final = 1 << 30
"""Bytes beyond the weights' own that their factors may take, in all layers: DeBERTa-v3-large takes 0.8 of it."""


class Weights(Enum):
    """What becomes of the weights of many rows, on a CPU in float32."""

    fast = "fast"
    """Laid out as it is fastest, whatever memory that takes: many batches will come."""
    small = "small"
    """Laid out in no more memory than they take themselves: few will come, beside a lower dtype."""
    streamed = "streamed"
    """Left in their files, where they still are there, and read for every batch."""


class Map(NamedTuple):
    """One linear map of the model: weight [N, K], bias [N], and what both are multiplied by."""

    weight: torch.Tensor
    bias: torch.Tensor
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Keeper:
    """Keeps tensors where and how the packed model reads them."""

    device: torch.device
    dtype: torch.dtype
    stored: Mapping[torch.Tensor, Numbers] = field(default_factory=dict)
    """The model's parameters that are still in their files."""
    weights: Weights = Weights.fast
    longest: int | None = None
    """The tokens of the longest example that there will be."""
    strassen: Native | None = None
    """What makes seven products of one, where the matrices are large enough."""

    @property
    def beside(self) -> torch.dtype:
        """Of all that is no product of many rows: on a CPU the lower dtype gains nothing there, and costs exactness."""
        return torch.float32 if self.device.type == "cpu" else self.dtype

    def tensor(self, x: torch.Tensor) -> torch.Tensor:
        """The tensor on the device in the dtype `beside`; shared with the original where nothing changes."""
        return x.detach().to(self.device, self.beside).contiguous()

    @property
    def kernels(self) -> ModuleType | None:
        """Those of a GPU, where the device is one that has any."""
        return kernels_for(self.device)

    def native(self, width: int) -> Native | None:
        """Those of a CPU, where the device is one that has any, for numbers of which `width` lie side by side."""
        return native_kernels() if self.device.type == "cpu" and fits(width) else None

    def name_of_kernels(self, size: int) -> str:
        """What computes attention with heads of this size."""
        native = self.native(size)
        if native is not None:
            return native.level
        return "torch" if self.kernels is None else "triton"

    def norm(self, module: Any) -> Norm:  # noqa: ANN401 - transformers' modules are untyped here
        """The model's layer normalisation."""
        weight, bias = self.tensor(module.weight), self.tensor(module.bias)
        native = self.native(len(weight))
        if native is not None:
            return CompiledNorm(weight, bias, module.eps, native)
        if self.kernels is not None:
            return FusedNorm(weight, bias, module.eps, self.kernels)
        return Norm(weight, bias, module.eps)

    def product(self, *maps: Map, gelu: bool = False) -> Product:
        """Several linear maps of the same rows as one product."""
        halved = None if gelu else self._halved(*maps)
        if halved is not None:
            return halved
        bias = self._bias(maps)
        if self.weights is Weights.streamed and all(one.weight in self.stored for one in maps):
            return streamed_linear([self._scaled(one) for one in maps], bias, gelu=gelu)
        rows, columns = sum(len(one.weight) for one in maps), maps[0].weight.shape[1]
        # What is laid out, moved or rounded is copied in any case.
        copied = self.dtype is not torch.float32 or self.device.type != "cpu" or lays_out(self.dtype)
        room = scratch(rows, columns) if copied else torch.empty(rows, columns)
        weight = stacked([self._scaled(one) for one in maps], room).to(self.device, self.dtype)
        return linear(weight, bias.to(self.dtype), gelu=gelu)

    def many_rows(self, part: nn.Linear, *, gelu: bool = False) -> Product:
        """One linear map of the model as a product."""
        return self.product(Map(part.weight, part.bias), gelu=gelu)

    def feed(self, up: nn.Linear, down: nn.Linear) -> Product:
        """The feed-forward of a layer: up, GELU, and down again."""
        halved_up, halved_down = (self._halved(Map(one.weight, one.bias)) for one in (up, down))
        if halved_up is not None and halved_down is not None:
            return StrassenFeed(halved_up, halved_down)
        return chained(self.many_rows(up, gelu=True), self.many_rows(down))

    def few_rows(self, part: nn.Linear, *, gelu: bool = False) -> Product:
        """A linear map of few rows as a product, in the dtype `beside`."""
        one = Map(part.weight, part.bias)
        return linear(self.tensor(self.numbers(one)), self._bias([one]), gelu=gelu)

    def numbers(self, one: Map) -> torch.Tensor:
        """The weight of a map in float32, on the CPU, multiplied."""
        numbers, scale = self._scaled(one)
        weight = numbers.read()
        return weight if scale == 1 else weight * scale

    def words(self, parameter: torch.Tensor) -> torch.Tensor | Rows:
        """The embeddings of tokens."""
        numbers = self._found(parameter)
        return numbers if isinstance(numbers, Rows) and self.device.type == "cpu" else self.tensor(numbers.read())

    def _halved(self, *maps: Map) -> StrassenProduct | None:
        rows, columns = sum(len(one.weight) for one in maps), maps[0].weight.shape[1]
        if self.strassen is None or not gains(rows, columns):
            return None
        weight = stacked([self._scaled(one) for one in maps], scratch(rows, columns))
        return strassen(weight, self._bias(maps), self.strassen)

    def _bias(self, maps: Sequence[Map]) -> torch.Tensor:
        return self.tensor(torch.cat([one.bias.detach().float() * one.scale for one in maps]))

    def _scaled(self, one: Map) -> Scaled:
        return Scaled(self._found(one.weight), one.scale)

    def _found(self, parameter: torch.Tensor) -> Numbers:
        return self.stored.get(parameter) or Present(parameter.detach())


def keepers_of(layers: Sequence[nn.Module], keeper: Keeper) -> list[Keeper]:
    """The keeper of each layer: strict float32 on a CPU is multiplied by Strassen's seven, while there is room."""
    native = native_kernels() if keeper.device.type == "cpu" else None
    suits = keeper.weights is Weights.fast and keeper.dtype is torch.float32 and lays_out(torch.float32)
    if native is None or not suits:
        return [keeper] * len(layers)
    halving, kept = replace(keeper, strassen=native), 0
    keepers = []
    for layer in layers:
        kept += sum(3 * parameter.numel() for parameter in layer.parameters())
        keepers.append(halving if kept <= STRASSEN_ROOM else keeper)
    return keepers
