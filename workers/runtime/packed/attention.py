"""Attention, each example with itself alone, and the content attention of BERT and RoBERTa."""

from dataclasses import dataclass
from typing import Final

import torch

from workers.runtime.packed.layout import Packed, Span
from workers.runtime.packed.linear import Product

_ROWS_AT_ONCE: Final = {"cpu": 256}
"""So many that queries, keys, values and scores stay in the second-level cache until they are spent."""


def by_head(x: torch.Tensor, count: int, span: Span) -> torch.Tensor:
    """The rows [B·L, H·D] of a span, each example's and head's together: [H·B, L, D]."""
    return x.view(len(x), count, -1).transpose(0, 1).reshape(count * span.count, span.length, -1)


def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """softmax(q kᵀ + bias) v over [H·B, L, D]. The queries come scaled; the bias is spent."""
    scores = torch.bmm(q, k.transpose(1, 2)) if bias is None else bias.baddbmm_(q, k.transpose(1, 2))
    return torch.bmm(torch.softmax(scores, dim=-1), v)


def put(mixed: torch.Tensor, out: torch.Tensor, span: Span) -> None:
    """Write [H·B, L, D] into the rows [B·L, H·D] of a span."""
    size = mixed.shape[-1]
    by_example = mixed.view(-1, span.count, span.length, size).permute(1, 2, 0, 3)
    out.view(span.count, span.length, -1, size).copy_(by_example)


def joined(parts: list[torch.Tensor]) -> torch.Tensor:
    """The rows of all spans in order; one span is not copied."""
    return parts[0] if len(parts) == 1 else torch.cat(parts)


@dataclass(frozen=True, slots=True)
class ContentAttention:
    """softmax(Q Kᵀ / √D) V (Vaswani et al. 2017, eq. 1), the scale inside Q."""

    qkv: Product
    """[M, d] -> [M, 3d]."""
    head_count: int

    def __call__(self, x: torch.Tensor, packed: Packed) -> torch.Tensor:
        """The mixed rows: [M, d] -> [M, d]."""
        qkv = self.qkv(x).to(x.dtype)
        mixed = torch.empty_like(x)
        for span in packed.spans:
            for part in span.parts(_ROWS_AT_ONCE.get(x.device.type, 1 << 28)):
                q, k, v = by_head(qkv[part.rows], 3 * self.head_count, part).chunk(3)
                put(attend(q, k, v, None), mixed[part.rows], part)
        return mixed
