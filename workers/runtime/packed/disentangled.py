"""Disentangled attention: content to content, content to position, position to content (He et al. 2020, eq. 4)."""

from dataclasses import dataclass
from typing import Final

import torch

from workers.runtime.packed.attention import attend, by_head, put
from workers.runtime.packed.layout import Packed, Span
from workers.runtime.packed.linear import Product
from workers.runtime.packed.positions import Projections

_AT_ONCE: Final = {"cpu": 160_000, "cuda": 1 << 28}
"""Position products that are held at once: on a CPU so many that they stay in the second-level cache until they are
spent (640 KB of 1 MB in float32). Beyond it, the same work took three times as long."""


@dataclass(frozen=True, slots=True)
class DisentangledAttention:
    """softmax(Q Kᵀ + Q·PK[δ] + K·PQ[δ]) V with the scale inside Q and PQ."""

    qkv: Product
    """[M, d] -> [M, 3d]."""
    head_count: int
    projections: Projections

    def __call__(self, x: torch.Tensor, packed: Packed) -> torch.Tensor:
        """The mixed rows: [M, d] -> [M, d]."""
        qkv = self.qkv(x).to(x.dtype)
        mixed = torch.empty_like(x)
        for span in packed.spans:
            table = self.projections.columns(span.length)
            most = _AT_ONCE.get(x.device.type, 1 << 28) // (len(table) * table.shape[2])
            for part in span.parts(most):
                self._mix(qkv[part.rows], table, part, mixed[part.rows])
        return mixed

    def _mix(self, qkv: torch.Tensor, table: torch.Tensor, span: Span, out: torch.Tensor) -> None:
        """The attention of one span into `out` [B·L, d], its queries, keys and values [B·L, 3d]."""
        count = self.head_count
        heads = by_head(qkv, 3 * count, span)
        q, k, v = heads.chunk(3)
        scores = torch.bmm(heads[: 2 * len(q)].view(2 * count, span.count * span.length, -1), table)
        put(attend(q, k, v, _bias(scores, span, count).flatten(0, 1)), out, span)


def _bias(scores: torch.Tensor, span: Span, count: int) -> torch.Tensor:
    """The position part of each score of a span, from the position products [2·H, B·L, R]: [H, B, L, L].

    For query i and key j it is scores[h, i, centre - (i - j)] + scores[H + h, j, centre + (i - j)], where the centre is
    L - 1: two strided views, no gather.
    """
    head, row, _ = scores.stride()
    size = (count, span.count, span.length, span.length)
    origin = scores.storage_offset() + span.length - 1
    to_position = scores.as_strided(size, (head, span.length * row, row - 1, 1), origin)
    from_position = scores.as_strided(size, (head, span.length * row, 1, row - 1), origin + count * head)
    return torch.add(to_position, from_position, out=scores.new_empty(size))
