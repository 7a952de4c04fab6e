"""Attention, each example with itself alone, and the content attention of BERT and RoBERTa."""

from dataclasses import dataclass

import torch

from workers.runtime.packed.layout import Packed, Span
from workers.runtime.packed.linear import Product


def by_head(x: torch.Tensor, count: int, span: Span) -> torch.Tensor:
    """The rows [B·L, H·D] of a span, each example's and head's together: [H·B, L, D]."""
    return x.view(len(x), count, -1).transpose(0, 1).reshape(count * span.count, span.length, -1)


def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor | None, count: int) -> torch.Tensor:
    """softmax(q kᵀ + bias) v over [H·B, L, D], as rows [B·L, H·D]. The queries come scaled; the bias is spent."""
    scores = torch.bmm(q, k.transpose(1, 2)) if bias is None else bias.baddbmm_(q, k.transpose(1, 2))
    mixed = torch.bmm(torch.softmax(scores, dim=-1), v)
    return mixed.view(count, -1, mixed.shape[-1]).transpose(0, 1).flatten(1)


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
        qkv = self.qkv(x)
        return joined([self._mixed(qkv[span.rows], span) for span in packed.spans])

    def _mixed(self, qkv: torch.Tensor, span: Span) -> torch.Tensor:
        q, k, v = by_head(qkv, 3 * self.head_count, span).chunk(3)
        return attend(q, k, v, None, self.head_count)
