"""Turn a model's modules into the packed model, freeing each original as soon as its weights are laid out."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final, NamedTuple, TypeVar

import torch
from torch import nn

from workers.runtime.packed.attention import ContentAttention
from workers.runtime.packed.cpu import CompiledAttention, CompiledNorm, native_kernels
from workers.runtime.packed.disentangled import DisentangledAttention
from workers.runtime.packed.embed import Embeddings, Norm
from workers.runtime.packed.encoder import Layer, Mixing, Tail
from workers.runtime.packed.family import Family, Relative, family
from workers.runtime.packed.first_token import FirstTokenLayer
from workers.runtime.packed.gpu import FusedAttention, FusedNorm, LastLayer, kernels_for
from workers.runtime.packed.layout import Packed, Positions
from workers.runtime.packed.linear import Product, lays_out, linear, streamed_linear
from workers.runtime.packed.native import Native, fits
from workers.runtime.packed.numbers import Numbers, Present, Rows, Scaled, scratch, stacked
from workers.runtime.packed.positions import Projections

T = TypeVar("T")
Last = Callable[[torch.Tensor, Packed], torch.Tensor]
"""The last layer, for each example's first token: [M, d] -> [B, d]."""
_AT_ONCE: Final = 2
"""Layers that are laid out side by side: one is read while the other is copied."""


class Map(NamedTuple):
    """One linear map of the model: weight [N, K], bias [N], and what both are multiplied by."""

    weight: torch.Tensor
    bias: torch.Tensor
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class PackedModel:
    """The parts of one model, in the order in which rows pass them."""

    positions: Positions
    embeddings: Embeddings
    layers: tuple[Layer, ...]
    last: Last
    head: nn.Module
    """Hidden states [B, 1, d] -> logits [B, C]."""
    kernels: str
    """What computes attention: `avx512`, `avx2`, `triton`, or `torch`."""


@dataclass(frozen=True, slots=True)
class Keeper:
    """Keeps tensors where and how the packed model reads them."""

    device: torch.device
    dtype: torch.dtype
    stored: Mapping[torch.Tensor, Numbers] = field(default_factory=dict)
    """The model's parameters that are still in their files."""
    streamed: bool = False
    """Whether they stay there, and every product reads its weights anew."""
    longest: int | None = None
    """The tokens of the longest example that there will be."""

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
        bias = self._bias(maps)
        if self.streamed and all(one.weight in self.stored for one in maps):
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

    def few_rows(self, part: nn.Linear, *, gelu: bool = False) -> Product:
        """A linear map of few rows as a product, in the dtype `beside`."""
        one = Map(part.weight, part.bias)
        return linear(self.tensor(self.numbers(one)), self._bias([one]), gelu=gelu)

    def numbers(self, one: Map) -> torch.Tensor:
        """The weight of a map in float32, on the CPU, multiplied."""
        numbers, scale = self._scaled(one)
        weight = numbers.read()
        return weight if scale == 1 else weight * scale

    def words(self, parameter: torch.Tensor) -> tuple[torch.Tensor, Rows | None]:
        """The embeddings of tokens, and what has to fill their rows before they are looked up."""
        numbers = self._found(parameter)
        if isinstance(numbers, Rows) and self.device.type == "cpu":
            return numbers.table, numbers
        return self.tensor(numbers.read()), None

    def _bias(self, maps: Sequence[Map]) -> torch.Tensor:
        return self.tensor(torch.cat([one.bias.detach().float() * one.scale for one in maps]))

    def _scaled(self, one: Map) -> Scaled:
        return Scaled(self._found(one.weight), one.scale)

    def _found(self, parameter: torch.Tensor) -> Numbers:
        return self.stored.get(parameter) or Present(parameter.detach())


@torch.no_grad()
def build(model: Any, keeper: Keeper, *, spend: bool = True) -> PackedModel:  # noqa: ANN401 - as in packed_backend
    """The packed form of a supported model; the model is spent, its weights freed on the way, or left as it is."""
    inferring = torch.is_inference_mode_enabled()

    def taking(module: nn.Module, convert: Callable[[Any], T]) -> T:
        # Each thread has its own modes.
        with torch.inference_mode(mode=inferring), torch.no_grad():
            converted = convert(module)
            for parameter in module.parameters() if spend else ():
                parameter.data = parameter.data.new_empty(0)
        return converted

    kind = family(model)
    base = model.base_model
    *most, final = base.encoder.layer
    embeddings = taking(base.embeddings, lambda part: _embeddings(part, keeper))
    with ThreadPoolExecutor(min(_AT_ONCE, torch.get_num_threads()), "layout") as pool:
        layers = tuple(pool.map(lambda layer: taking(layer, lambda part: _layer(part, kind, keeper)), most))
    last = taking(final, lambda part: _last(part, kind, keeper))
    known = None if embeddings.positions is None else len(embeddings.positions)
    head = kind.head if spend else deepcopy(kind.head)
    return PackedModel(
        positions=Positions(kind.rule, known),
        embeddings=embeddings,
        layers=layers,
        last=last,
        head=head.to(keeper.device, keeper.beside).eval(),
        kernels=keeper.name_of_kernels(final.attention.self.attention_head_size),
    )


def _embeddings(module: Any, keeper: Keeper) -> Embeddings:  # noqa: ANN401 - as above
    def table(name: str) -> torch.Tensor | None:
        part = getattr(module, name, None)
        return None if part is None else keeper.tensor(part.weight)

    words, rows = keeper.words(module.word_embeddings.weight)
    positions, types = table("position_embeddings"), table("token_type_embeddings")
    return Embeddings(words, positions, types, keeper.norm(module.LayerNorm), rows)


def _layer(layer: Any, kind: Family, keeper: Keeper) -> Layer:  # noqa: ANN401 - as above
    return Layer(_mixing(layer.attention.self, kind, keeper), _tail(layer, keeper, keeper.many_rows))


def _mixing(own: Any, kind: Family, keeper: Keeper) -> Mixing:  # noqa: ANN401 - as above
    count = own.num_attention_heads
    q, k, v = _maps(own, kind)
    qkv = keeper.product(q, k, v)
    relative = None if kind.relative is None else _projections(q, k, count, kind.relative, keeper)
    native = keeper.native(own.attention_head_size)
    if native is not None:
        return CompiledAttention(qkv, count, relative, native)
    if keeper.kernels is not None:
        return FusedAttention(qkv, count, relative, keeper.kernels)
    return ContentAttention(qkv, count) if relative is None else DisentangledAttention(qkv, count, relative)


def _last(layer: Any, kind: Family, keeper: Keeper) -> Last:  # noqa: ANN401 - as above
    if keeper.kernels is not None:
        return LastLayer(_mixing(layer.attention.self, kind, keeper), _tail(layer, keeper, keeper.many_rows))
    count = layer.attention.self.num_attention_heads
    q, k, v = _maps(layer.attention.self, kind)
    positions = None
    if kind.relative is not None:
        positions = _projections(q, k, count, kind.relative, keeper)
    return FirstTokenLayer(
        query=(keeper.tensor(keeper.numbers(q)), keeper.tensor(q.bias * q.scale)),
        key=(keeper.tensor(_by_head(keeper.numbers(k), count)), keeper.tensor(_by_head(k.bias[:, None], count))),
        value=(
            keeper.tensor(_by_head(keeper.numbers(v), count).transpose(1, 2)),
            keeper.tensor(_by_head(v.bias[:, None], count).transpose(1, 2)),
        ),
        positions=positions,
        tail=_tail(layer, keeper, keeper.few_rows),
    )


def _tail(layer: Any, keeper: Keeper, product: Callable[..., Product]) -> Tail:  # noqa: ANN401 - as above
    return Tail(
        out=product(layer.attention.output.dense),
        out_norm=keeper.norm(layer.attention.output.LayerNorm),
        up=product(layer.intermediate.dense, gelu=True),
        down=product(layer.output.dense),
        down_norm=keeper.norm(layer.output.LayerNorm),
    )


def _maps(own: Any, kind: Family) -> tuple[Map, Map, Map]:  # noqa: ANN401 - as above
    """The query, key and value maps, the attention scale in the first."""
    q, k, v = (getattr(own, name) for name in kind.projections)
    return Map(q.weight, q.bias, kind.scale(own.attention_head_size)), Map(k.weight, k.bias), Map(v.weight, v.bias)


def _projections(q: Map, k: Map, count: int, relative: Relative, keeper: Keeper) -> Projections:
    first, last = relative.buckets.reached(keeper.longest)

    def projected(one: Map) -> torch.Tensor:
        moved = relative.table[first:last] @ keeper.numbers(one).t() + one.bias.float() * one.scale
        return keeper.tensor(_by_head(moved.t(), count).transpose(1, 2))

    return Projections(relative.buckets, projected(k), projected(q), first)


def _by_head(x: torch.Tensor, count: int) -> torch.Tensor:
    """[H·D, n] -> [H, D, n]."""
    return x.view(count, -1, x.shape[-1])
