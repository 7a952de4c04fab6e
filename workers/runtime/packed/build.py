"""Turn a model's modules into the packed model, freeing each original as soon as its weights are laid out."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import torch
from torch import nn

from workers.runtime.packed.attention import ContentAttention
from workers.runtime.packed.cpu import CompiledAttention
from workers.runtime.packed.disentangled import DisentangledAttention
from workers.runtime.packed.embed import Embeddings
from workers.runtime.packed.encoder import Layer, Mixing, Tail
from workers.runtime.packed.family import Family, Relative, family
from workers.runtime.packed.first_token import FirstTokenLayer
from workers.runtime.packed.gpu import FusedAttention, LastLayer
from workers.runtime.packed.keeper import Keeper, Map, keepers_of
from workers.runtime.packed.layout import Packed, Positions
from workers.runtime.packed.linear import Product, chained
from workers.runtime.packed.positions import Projections
from workers.runtime.packed.strassen import StrassenFeed

T = TypeVar("T")
Last = Callable[[torch.Tensor, Packed], torch.Tensor]
"""The last layer, for each example's first token: [M, d] -> [B, d]."""
_AT_ONCE: Final = 2
"""Layers that are laid out side by side: one is read while the other is copied."""


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
    products: str
    """How rows of many tokens are multiplied: `strassen`, or `plain`."""


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
    keepers = keepers_of(most, keeper)
    with ThreadPoolExecutor(min(_AT_ONCE, torch.get_num_threads()), "layout") as pool:
        layers = tuple(pool.map(lambda layer, own: taking(layer, lambda part: _layer(part, kind, own)), most, keepers))
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
        products="strassen" if any(isinstance(layer.tail.feed, StrassenFeed) for layer in layers) else "plain",
    )


def _embeddings(module: Any, keeper: Keeper) -> Embeddings:  # noqa: ANN401 - as above
    def table(name: str) -> torch.Tensor | None:
        part = getattr(module, name, None)
        return None if part is None else keeper.tensor(part.weight)

    words = keeper.words(module.word_embeddings.weight)
    positions, types = table("position_embeddings"), table("token_type_embeddings")
    return Embeddings(words, positions, types, keeper.norm(module.LayerNorm))


def _layer(layer: Any, kind: Family, keeper: Keeper) -> Layer:  # noqa: ANN401 - as above
    return Layer(_mixing(layer.attention.self, kind, keeper), _tail(layer, keeper))


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
        return LastLayer(_mixing(layer.attention.self, kind, keeper), _tail(layer, keeper))
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
        tail=_few_tail(layer, keeper),
    )


def _tail(layer: Any, keeper: Keeper) -> Tail:  # noqa: ANN401 - as above
    out = keeper.many_rows(layer.attention.output.dense)
    return _with_norms(layer, keeper, out, keeper.feed(layer.intermediate.dense, layer.output.dense))


def _few_tail(layer: Any, keeper: Keeper) -> Tail:  # noqa: ANN401 - as above
    out = keeper.few_rows(layer.attention.output.dense)
    up, down = keeper.few_rows(layer.intermediate.dense, gelu=True), keeper.few_rows(layer.output.dense)
    return _with_norms(layer, keeper, out, chained(up, down))


def _with_norms(layer: Any, keeper: Keeper, out: Product, feed: Product) -> Tail:  # noqa: ANN401 - as above
    return Tail(out, keeper.norm(layer.attention.output.LayerNorm), feed, keeper.norm(layer.output.LayerNorm))


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
