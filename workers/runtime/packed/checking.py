"""Whether kernels of ours give what torch's plain operations give: asked in each process before they are used."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch.nn import functional

_HEADS, _SIZE, _LENGTHS = 2, 16, (17, 40)


class Attend(Protocol):
    """Attention of rows [M, 3·H·D], example b in lengths[b] rows from starts[b]: [M, H·D], all in float32."""

    def __call__(
        self, qkv: torch.Tensor, starts: torch.Tensor, lengths: torch.Tensor, *, heads: int, longest: int
    ) -> torch.Tensor:
        """The mixed rows."""
        ...


class NormOfSum(Protocol):
    """The rows of x + y normalised, each [M, d]: [M, d]; y may be spent."""

    def __call__(
        self, y: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float, /
    ) -> torch.Tensor:
        """The normalised rows."""
        ...


def require_plain(attend: Attend, norm_of_sum: NormOfSum, device: torch.device, tolerance: float) -> None:
    """Raise ValueError where they are further from plain float32 than that, on two examples of 17 and 40 rows."""
    generator = torch.Generator().manual_seed(0)
    qkv = torch.randn(sum(_LENGTHS), 3 * _HEADS * _SIZE, generator=generator).to(device)
    starts, sizes = (torch.tensor(numbers, device=device) for numbers in ((0, _LENGTHS[0]), _LENGTHS))
    found = attend(qkv, starts, sizes, heads=_HEADS, longest=max(_LENGTHS))
    parts = []
    for part in torch.split(qkv, list(_LENGTHS)):
        q, k, v = part.view(len(part), 3 * _HEADS, _SIZE).transpose(0, 1).chunk(3)
        mixed = torch.softmax(q @ k.transpose(1, 2), dim=-1) @ v
        parts.append(mixed.transpose(0, 1).flatten(1))
    width = _HEADS * _SIZE
    x, weight, bias = qkv[:, :width].contiguous(), qkv[0, :width], qkv[1, :width]
    normed = norm_of_sum(found.clone(), x, weight, bias, 1e-7)
    plain = functional.layer_norm(x + torch.cat(parts), weight.shape, weight, bias, 1e-7)
    changes = torch.stack([(found - torch.cat(parts)).abs().max(), (normed - plain).abs().max()])
    if not (changes <= tolerance).all():
        msg = f"they are off by {changes.tolist()}"
        raise ValueError(msg)


def require_plain_feed(
    feed: Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], Callable[[torch.Tensor], torch.Tensor]],
    tolerance: float,
) -> None:
    """Raise ValueError where a feed-forward of weights [96, 64] and [64, 96], each with its bias, is further off."""
    generator = torch.Generator().manual_seed(0)
    sizes = ((33, 64), (96, 64), (96,), (64, 96), (64,))
    x, *weights = (torch.randn(*size, generator=generator) / 8 for size in sizes)
    up, up_bias, down, down_bias = weights
    plain = functional.linear(functional.gelu(functional.linear(x, up, up_bias)), down, down_bias)
    change = (feed(up.clone(), up_bias, down.clone(), down_bias)(x) - plain).abs().max()
    if not change <= tolerance:
        msg = f"Strassen's products are off by {change.item()}"
        raise ValueError(msg)
