"""Lay examples end to end as rows of tokens, grouped by length, so that no row is padding."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray

from workers.runtime.backend import TokenizedExample


@dataclass(frozen=True, slots=True)
class Positions:
    """Where in its example a token stands, as the model counts."""

    rule: Callable[[NDArray[np.int32]], NDArray[np.int64]]
    """The ids of one example, int32 [L] -> the position of each token, int64 [L]."""
    known: int | None
    """How many positions the model has an embedding for; None where it has none, and needs none."""

    def of(self, examples: Sequence[TokenizedExample]) -> NDArray[np.int64]:
        """The positions of all tokens, example after example: int64 [M]. Raises ValueError beyond the known ones."""
        positions = np.concatenate([self.rule(example.input_ids) for example in examples])
        if self.known is not None and positions.max() >= self.known:
            longest = max(len(example) for example in examples)
            msg = f"an example of {longest} tokens passes the {self.known} positions that the model knows"
            raise ValueError(msg)
        return positions


@dataclass(frozen=True, slots=True)
class Span:
    """`count` examples of `length` tokens each, in consecutive rows from row `start`."""

    start: int
    count: int
    length: int

    @property
    def rows(self) -> slice:
        """The rows of all its examples."""
        return slice(self.start, self.start + self.count * self.length)

    def parts(self, rows: int) -> "Iterator[Span]":
        """The same examples in pieces of up to so many rows, or of a single example."""
        most = max(1, rows // self.length)
        for first in range(0, self.count, most):
            yield Span(self.start + first * self.length, min(most, self.count - first), self.length)


@dataclass(frozen=True, slots=True)
class Packed:
    """The tokens of B examples in M rows, shorter examples first."""

    input_ids: torch.Tensor
    """int64 [M]."""
    token_type_ids: torch.Tensor
    """int64 [M]."""
    positions: torch.Tensor | None
    """int64 [M]; None where the model needs none."""
    first_rows: torch.Tensor
    """int64 [B]: the row of each example's first token."""
    lengths: torch.Tensor
    """int64 [B]: how many tokens each example has."""
    spans: tuple[Span, ...]

    @property
    def longest(self) -> int:
        """The tokens of the longest example."""
        return self.spans[-1].length


def pack(examples: Sequence[TokenizedExample], positions: Positions, device: torch.device) -> Packed:
    """The rows of examples that come sorted by length, on `device`. Raises ValueError as `Positions.of` does."""
    lengths = np.array([len(example) for example in examples])

    def rows(values: NDArray[np.int32] | NDArray[np.int64]) -> torch.Tensor:
        return torch.from_numpy(values.astype(np.int64)).to(device)

    return Packed(
        input_ids=rows(np.concatenate([example.input_ids for example in examples])),
        token_type_ids=rows(np.concatenate([example.token_type_ids for example in examples])),
        positions=None if positions.known is None else rows(positions.of(examples)),
        first_rows=rows(np.cumsum(lengths) - lengths),
        lengths=rows(lengths),
        spans=tuple(_spans(lengths.tolist())),
    )


def _spans(lengths: list[int]) -> Iterator[Span]:
    start = 0
    for length, group in groupby(lengths):
        count = sum(1 for _ in group)
        yield Span(start, count, length)
        start += count * length


def blocks(lengths: Sequence[int], budget: int) -> Iterator[slice]:
    """Cut sorted lengths where the sum of tokens times the longest length would pass `budget`.

    That product bounds the attention scores: a batch of long examples is cut, one of short examples is not. A block
    has one example at the least.
    """
    start = tokens = 0
    for index, length in enumerate(lengths):
        tokens += length
        if tokens * length > budget and index > start:
            yield slice(start, index)
            start, tokens = index, length
    if start < len(lengths):
        yield slice(start, len(lengths))
