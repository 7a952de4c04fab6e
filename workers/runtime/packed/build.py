"""Turn a model's modules into the packed model, freeing each original as soon as its weights are laid out."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar

import torch
from torch import nn

from workers.runtime.packed.attention import ContentAttention
from workers.runtime.packed.disentangled import DisentangledAttention
from workers.runtime.packed.embed import Embeddings, Norm
from workers.runtime.packed.encoder import Layer, Mixing, Tail
from workers.runtime.packed.family import Family, Relative, family
from workers.runtime.packed.first_token import FirstTokenLayer
from workers.runtime.packed.gpu import FusedAttention, FusedNorm, LastLayer, kernels_for
from workers.runtime.packed.layout import Packed, Positions
from workers.runtime.packed.linear import Product, linear, plain_linear
from workers.runtime.packed.positions import Projections

T = TypeVar("T")
Last = Callable[[torch.Tensor, Packed], torch.Tensor]
"""The last layer, for each example's first token: [M, d] -> [B, d]."""
Pair = tuple[torch.Tensor, torch.Tensor]
"""Weight [N, K] and bias [N] of one linear map."""


@dataclass(frozen=True, slots=True)
class PackedModel:
    """The parts of one model, in the order in which rows pass them."""

    positions: Positions
    embeddings: Embeddings
    layers: tuple[Layer, ...]
    last: Last
    head: nn.Module
    """Hidden states [B, 1, d] -> logits [B, C]."""


@dataclass(frozen=True, slots=True)
class Keeper:
    """Keeps tensors where and how the packed model reads them."""

    device: torch.device
    dtype: torch.dtype

    def tensor(self, x: torch.Tensor) -> torch.Tensor:
        """The tensor on the device in the dtype; shared with the original where nothing changes."""
        return x.detach().to(self.device, self.dtype).contiguous()

    @property
    def kernels(self) -> ModuleType | None:
        """Those of the device, where it has any."""
        return kernels_for(self.device)

    def norm(self, module: Any) -> Norm:  # noqa: ANN401 - transformers' modules are untyped here
        """The model's layer normalisation."""
        weight, bias = self.tensor(module.weight), self.tensor(module.bias)
        if self.kernels is None:
            return Norm(weight, bias, module.eps)
        return FusedNorm(weight, bias, module.eps, self.kernels)

    def product(self, *pairs: Pair) -> Product:
        """Several linear maps of the same rows as one product."""
        weight, bias = (torch.cat(parts) for parts in zip(*pairs, strict=True))
        return linear(self.tensor(weight), self.tensor(bias))


@torch.no_grad()
def build(model: Any, keeper: Keeper, *, spend: bool = True) -> PackedModel:  # noqa: ANN401 - as in packed_backend
    """The packed form of a supported model; the model is spent, its weights freed on the way, or left as it is."""

    def taking(module: nn.Module, convert: Callable[[Any], T]) -> T:
        converted = convert(module)
        for parameter in module.parameters() if spend else ():
            parameter.data = parameter.data.new_empty(0)
        return converted

    kind = family(model)
    base = model.base_model
    *most, final = base.encoder.layer
    embeddings = taking(base.embeddings, lambda part: _embeddings(part, keeper))
    layers = tuple(taking(layer, lambda part: _layer(part, kind, keeper)) for layer in most)
    last = taking(final, lambda part: _last(part, kind, keeper))
    known = None if embeddings.positions is None else len(embeddings.positions)
    head = kind.head if spend else deepcopy(kind.head)
    return PackedModel(
        Positions(kind.rule, known), embeddings, layers, last, head.to(keeper.device, keeper.dtype).eval()
    )


def _embeddings(module: Any, keeper: Keeper) -> Embeddings:  # noqa: ANN401 - as above
    def table(name: str) -> torch.Tensor | None:
        part = getattr(module, name, None)
        return None if part is None else keeper.tensor(part.weight)

    words = keeper.tensor(module.word_embeddings.weight)
    return Embeddings(
        words, table("position_embeddings"), table("token_type_embeddings"), keeper.norm(module.LayerNorm)
    )


def _layer(layer: Any, kind: Family, keeper: Keeper) -> Layer:  # noqa: ANN401 - as above
    return Layer(_mixing(layer.attention.self, kind, keeper), _tail(layer, keeper, linear))


def _mixing(own: Any, kind: Family, keeper: Keeper) -> Mixing:  # noqa: ANN401 - as above
    count = own.num_attention_heads
    q, k, v = _maps(own, kind)
    qkv = keeper.product(q, k, v)
    relative = None if kind.relative is None else _projections(q, k, count, kind.relative, keeper)
    if keeper.kernels is not None:
        return FusedAttention(qkv, count, relative, keeper.kernels)
    return ContentAttention(qkv, count) if relative is None else DisentangledAttention(qkv, count, relative)


def _last(layer: Any, kind: Family, keeper: Keeper) -> Last:  # noqa: ANN401 - as above
    if keeper.kernels is not None:
        return LastLayer(_mixing(layer.attention.self, kind, keeper), _tail(layer, keeper, linear))
    count = layer.attention.self.num_attention_heads
    q, k, v = _maps(layer.attention.self, kind)
    positions = None
    if kind.relative is not None:
        positions = _projections(q, k, count, kind.relative, keeper)
    return FirstTokenLayer(
        query=(keeper.tensor(q[0]), keeper.tensor(q[1])),
        key=(keeper.tensor(_by_head(k[0], count)), keeper.tensor(_by_head(k[1][:, None], count))),
        value=(
            keeper.tensor(_by_head(v[0], count).transpose(1, 2)),
            keeper.tensor(_by_head(v[1][:, None], count).transpose(1, 2)),
        ),
        positions=positions,
        tail=_tail(layer, keeper, plain_linear),
    )


def _tail(layer: Any, keeper: Keeper, lay: Callable[..., Product]) -> Tail:  # noqa: ANN401 - as above
    def product(part: nn.Linear, *, gelu: bool = False) -> Product:
        return lay(keeper.tensor(part.weight), keeper.tensor(part.bias), gelu=gelu)

    return Tail(
        out=product(layer.attention.output.dense),
        out_norm=keeper.norm(layer.attention.output.LayerNorm),
        up=product(layer.intermediate.dense, gelu=True),
        down=product(layer.output.dense),
        down_norm=keeper.norm(layer.output.LayerNorm),
    )


def _maps(own: Any, kind: Family) -> tuple[Pair, Pair, Pair]:  # noqa: ANN401 - as above
    """The query, key and value maps in float32, the attention scale in the first."""
    q, k, v = ((part.weight.float(), part.bias.float()) for part in (getattr(own, name) for name in kind.projections))
    scale = kind.scale(own.attention_head_size)
    return (q[0] * scale, q[1] * scale), k, v


def _projections(q: Pair, k: Pair, count: int, relative: Relative, keeper: Keeper) -> Projections:
    keys, queries = (_by_head((relative.table @ weight.t() + bias).t(), count) for weight, bias in (k, q))
    keys, queries = (keeper.tensor(part.transpose(1, 2)) for part in (keys, queries))
    return Projections(relative.buckets, keys, queries)


def _by_head(x: torch.Tensor, count: int) -> torch.Tensor:
    """[H·D, n] -> [H, D, n]."""
    return x.view(count, -1, x.shape[-1])
