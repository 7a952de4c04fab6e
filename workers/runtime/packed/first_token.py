"""The last layer for each example's first token, the only one that the classifier reads."""

from dataclasses import dataclass

import torch

from workers.runtime.packed.attention import joined
from workers.runtime.packed.encoder import Tail
from workers.runtime.packed.layout import Packed, Span
from workers.runtime.packed.positions import Projections


@dataclass(frozen=True, slots=True)
class Asked:
    """What positions add to the first token's scores, for keys at 0, 1, 2, …."""

    keys: torch.Tensor
    """Position keys, [H, D, L]."""
    probes: torch.Tensor
    """Position queries moved through the key projection as content queries are, [L, d, H]."""
    constant: torch.Tensor
    """Position queries times the key bias, which differs between keys here, [H, L, 1]."""

    def __call__(self, q: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Queries [H, B, D] of the first tokens and rows [B, L, d] of all tokens -> [B, H, L]."""
        length = rows.shape[1]
        to_position = torch.bmm(q, self.keys[:, :, :length])
        from_position = torch.bmm(rows.transpose(0, 1), self.probes[:length])
        return to_position.transpose(0, 1) + from_position.permute(1, 2, 0) + self.constant[:, :length, 0]


@dataclass(frozen=True, slots=True)
class FirstTokenLayer:
    """The last layer with one query an example.

    With one query, q·(Wk x + bk) = (Wkᵀ q)·x + q·bk, whose second term is the same for every key and leaves the
    softmax; and Σ p (Wv x + bv) = Wv (Σ p x) + bv: neither keys nor values are made for the other tokens.
    """

    query: tuple[torch.Tensor, torch.Tensor]
    """Wq [d, d] and bq [d], scaled."""
    key: tuple[torch.Tensor, torch.Tensor]
    """Wk [H, D, d] and bk [H, D, 1]."""
    value: tuple[torch.Tensor, torch.Tensor]
    """Wvᵀ [H, d, D] and bv [H, 1, D]."""
    positions: Projections | None
    tail: Tail

    def __call__(self, x: torch.Tensor, packed: Packed) -> torch.Tensor:
        """The first token of each example after the last layer: [M, d] -> [B, d]."""
        first = x.index_select(0, packed.first_rows)
        weight, bias = self.query
        count, size, _ = self.key[0].shape
        q = torch.addmm(bias, first, weight.t()).view(-1, count, size).transpose(0, 1)
        probes = torch.bmm(q, self.key[0])
        asked = self._asked(packed.longest)
        mixed, begin = [], 0
        for span in packed.spans:
            chosen = slice(begin, begin + span.count)
            mixed.append(self._mixed(x, span, q[:, chosen], probes[:, chosen], asked))
            begin += span.count
        return self.tail(joined(mixed), first)

    def _asked(self, longest: int) -> Asked | None:
        if self.positions is None:
            return None
        reached = self.positions.around(longest)
        count = len(reached) // 2
        keys, queries = reached[:count, longest - 1 :], reached[count:, :longest].flip(1)
        weight, bias = self.key
        return Asked(keys.transpose(1, 2), torch.bmm(queries, weight).permute(1, 2, 0), torch.bmm(queries, bias))

    def _mixed(
        self, x: torch.Tensor, span: Span, q: torch.Tensor, probes: torch.Tensor, asked: Asked | None
    ) -> torch.Tensor:
        """The attention of one span: q [H, B, D], probes [H, B, d] -> [B, d]."""
        rows = x[span.rows].view(span.count, span.length, -1)
        scores = torch.bmm(probes.transpose(0, 1), rows.transpose(1, 2))
        if asked is not None:
            scores += asked(q, rows)
        seen = torch.bmm(torch.softmax(scores, dim=-1), rows)
        weight, bias = self.value
        return torch.baddbmm(bias, seen.transpose(0, 1), weight).transpose(0, 1).flatten(1)
