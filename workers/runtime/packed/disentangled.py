"""Disentangled attention: content to content, content to position, position to content (He et al. 2020, eq. 4)."""

from dataclasses import dataclass, field

import torch

from workers.runtime.packed.attention import attend, by_head, joined
from workers.runtime.packed.layout import Packed, Span
from workers.runtime.packed.linear import Product, grouped
from workers.runtime.packed.positions import Projections


@dataclass(slots=True)
class DisentangledAttention:
    """softmax(Q Kᵀ + Q·PK[δ] + K·PQ[δ]) V with the scale inside Q and PQ."""

    qk: Product
    """[M, d] -> [M, 2d]."""
    v: Product
    """[M, d] -> [M, d]."""
    head_count: int
    projections: Projections
    _reach: tuple[int, Product] | None = field(default=None, init=False)

    def __call__(self, x: torch.Tensor, packed: Packed) -> torch.Tensor:
        """The mixed rows: [M, d] -> [M, d]."""
        qk, v = self.qk(x), self.v(x)
        scores = self._position_product(packed.longest)(qk)
        return joined([self._mixed(qk[span.rows], v[span.rows], scores, span) for span in packed.spans])

    def _position_product(self, longest: int) -> Product:
        """Rows of queries and keys times the positions within reach: [M, 2d] -> [M, 2·H, R]."""
        if self._reach is None or self._reach[0] != longest:
            self._reach = longest, grouped(self.projections.around(longest))
        return self._reach[1]

    def _mixed(self, qk: torch.Tensor, v: torch.Tensor, scores: torch.Tensor, span: Span) -> torch.Tensor:
        """The attention of one span, its rows of queries and keys [B·L, 2d] and values [B·L, d]: [B·L, d]."""
        count = self.head_count
        q, k = by_head(qk, 2 * count, span).chunk(2)
        bias = _bias(scores, span, count).flatten(0, 1)
        return attend(q, k, by_head(v, count, span), bias, count)


def _bias(scores: torch.Tensor, span: Span, count: int) -> torch.Tensor:
    """The position part of each score of a span, from the position products [M, 2·H, R]: [H, B, L, L].

    For query i and key j it is scores[i, h, centre - (i - j)] + scores[j, H + h, centre + (i - j)]: two strided views,
    no gather.
    """
    row, head, step = scores.stride()
    size = (count, span.count, span.length, span.length)
    origin = scores.storage_offset() + span.start * row + (scores.shape[2] // 2) * step
    to_position = scores.as_strided(size, (head, span.length * row, row - step, step), origin)
    from_position = scores.as_strided(size, (head, span.length * row, step, row - step), origin + count * head)
    return torch.add(to_position, from_position, out=scores.new_empty(size))
