"""Relative positions of DeBERTa-v2/v3: their buckets, and the projections that examples of some length reach."""

from dataclasses import dataclass, field
from typing import Final

import torch

from workers.runtime.packed.native import Table

_WHOLE: Final = 16


@dataclass(frozen=True, slots=True)
class Buckets:
    """How a distance becomes a row of the table of relative positions (transformers, modeling_deberta_v2)."""

    buckets: int
    """Of one direction; not positive where distances are not bucketed."""
    max_distance: int

    @property
    def span(self) -> int:
        """Half of the rows of the table."""
        return self.buckets if self.buckets > 0 else self.max_distance

    def rows(self, distances: torch.Tensor) -> torch.Tensor:
        """The row of each distance δ = query position - key position: int64 [N] -> int64 [N]."""
        index = self._bucketed(distances) if self.buckets > 0 else distances
        return torch.clamp(index + self.span, 0, 2 * self.span - 1)

    def reached(self, longest: int | None) -> tuple[int, int]:
        """The first row that examples of up to `longest` tokens reach, and the one behind the last; all, for None."""
        if longest is None:
            return 0, 2 * self.span
        first, last = self.rows(torch.tensor([-_spread(longest) - _WHOLE, _spread(longest) + _WHOLE])).tolist()
        return first, last + 1

    def _bucketed(self, distances: torch.Tensor) -> torch.Tensor:
        # The operations and their order are those of make_log_bucket_position, so that ceil() falls to the same side.
        middle = self.buckets // 2
        far = torch.where(distances.abs() < middle, torch.tensor(middle - 1), distances.abs())
        logarithm = torch.log(far / middle) / torch.log(torch.tensor((self.max_distance - 1) / middle))
        log_bucket = (torch.ceil(logarithm * (middle - 1)) + middle) * torch.sign(distances)
        return torch.where(far <= middle, distances.to(log_bucket.dtype), log_bucket).to(torch.int64)


def _spread(longest: int) -> int:
    return 1 << (longest - 1).bit_length()


def _reach(spread: torch.Tensor) -> int:
    return (spread.shape[2] - _WHOLE) // 2


@dataclass(slots=True)
class Projections:
    """One layer's projections of the relative positions: they depend on weights alone."""

    buckets: Buckets
    keys: torch.Tensor
    """K(rel), [H, 2·span, D]."""
    queries: torch.Tensor
    """Q(rel) with the attention scale, [H, 2·span, D]."""
    first: int = 0
    """The row of the table that is the first here, where not all are reached."""
    _spread: torch.Tensor | None = field(default=None, init=False)
    _table: Table | None = field(default=None, init=False)

    def around(self, longest: int) -> torch.Tensor:
        """The projections of every distance up to `longest` - 1, a view: [2·H, 2·longest - 1, D].

        The first H are keys, by falling δ = query position - key position; the others queries, by rising δ.
        """
        return self._columns(longest, 2 * longest - 1).transpose(1, 2)

    def columns(self, longest: int) -> torch.Tensor:
        """The same as columns, [2·H, D, R], and then those of more distances up to a whole multiple of 16.

        Matrix products with such a number of columns take three quarters of the time.
        """
        return self._columns(longest, -(-(2 * longest - 1) // _WHOLE) * _WHOLE)

    def by_distance(self, longest: int) -> Table:
        """The projections of every distance up to `longest` - 1, and of _WHOLE more on either side."""
        # Looked at once, as in _columns().
        table = self._table
        if table is None or table.centre < longest - 1 + _WHOLE:
            reach = _spread(longest) + _WHOLE
            rows = self._rows(torch.arange(-reach, reach + 1))
            both = torch.stack([self.keys[:, rows], self.queries[:, rows]], dim=1)
            table = self._table = Table(both.transpose(2, 3).contiguous(), reach)
        return table

    def _columns(self, longest: int, count: int) -> torch.Tensor:
        # Looked at once: batches in other threads may put a larger one there meanwhile.
        spread = self._spread
        if spread is None or _reach(spread) < longest:
            spread = self._spread = self._spread_to(_spread(longest))
        start = _reach(spread) - longest
        return spread[:, :, start : start + count]

    def _spread_to(self, longest: int) -> torch.Tensor:
        # One more and _WHOLE more than distances are needed: an even number, and room for what columns() adds.
        rising = torch.arange(1 - longest, longest + _WHOLE + 1)
        keys, queries = self.keys[:, self._rows(-rising)], self.queries[:, self._rows(rising)]
        return torch.cat([keys, queries]).transpose(1, 2).contiguous()

    def _rows(self, distances: torch.Tensor) -> torch.Tensor:
        return (self.buckets.rows(distances) - self.first).to(self.keys.device)
