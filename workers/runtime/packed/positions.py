"""Relative positions of DeBERTa-v2/v3: their buckets, and the projections that examples of some length reach."""

from dataclasses import dataclass, field

import torch


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

    def _bucketed(self, distances: torch.Tensor) -> torch.Tensor:
        # The operations and their order are those of make_log_bucket_position, so that ceil() falls to the same side.
        middle = self.buckets // 2
        far = torch.where(distances.abs() < middle, torch.tensor(middle - 1), distances.abs())
        logarithm = torch.log(far / middle) / torch.log(torch.tensor((self.max_distance - 1) / middle))
        log_bucket = (torch.ceil(logarithm * (middle - 1)) + middle) * torch.sign(distances)
        return torch.where(far <= middle, distances.to(log_bucket.dtype), log_bucket).to(torch.int64)


@dataclass(slots=True)
class Projections:
    """One layer's projections of the relative positions: they depend on weights alone."""

    buckets: Buckets
    keys: torch.Tensor
    """K(rel), [H, 2·span, D]."""
    queries: torch.Tensor
    """Q(rel) with the attention scale, [H, 2·span, D]."""
    _spread: torch.Tensor | None = field(default=None, init=False)

    def around(self, longest: int) -> torch.Tensor:
        """The projections of every distance up to `longest` - 1, a view: [2·H, 2·longest - 1, D].

        The first H are keys, by falling δ = query position - key position; the others queries, by rising δ.
        """
        if self._spread is None or self._spread.shape[1] < 2 * longest - 1:
            self._spread = self._spread_to(1 << (longest - 1).bit_length())
        centre = self._spread.shape[1] // 2
        return self._spread[:, centre - longest + 1 : centre + longest]

    def _spread_to(self, longest: int) -> torch.Tensor:
        rows = self.buckets.rows(torch.arange(1 - longest, longest)).to(self.keys.device)
        return torch.cat([self.keys[:, rows.flip(0)], self.queries[:, rows]])
