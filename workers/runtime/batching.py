"""Cut a slice into batches: near-equal lengths in each, a token budget, and the same batches every time.

Running through the slice by length would let the running estimate drift, because long examples are harder than short
ones. So the examples are shuffled (with the run's seed) and cut into windows; inside a window they are sorted by length
and cut into batches, and the batches are shuffled again. After each window the examples seen so far are a random sample
of the slice.

A run that may stop early is not sorted at all: its batches are pieces of one random permutation.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

_WINDOW_BATCHES: Final = 32
"""About this many batches to a window: enough for near-equal lengths, few enough for an estimate that settles early."""
_TOKENS: Final = {"cpu": (512, 4096), "cuda": (8192, 65_536)}
"""Below the first the matrix products lose their speed; beyond the second nothing more is gained."""
_FLOP: Final = {"cpu": 5e10, "cuda": 4e13}
"""What two cores do in half a second or less, and a large GPU in a second in float32: how long a cancelled run may take
to notice."""

_SHORT: Final = 8


def default_budget(device: str, parameters: int) -> int:
    """Tokens of a batch, for a model with so many parameters besides its embeddings: a power of two."""
    least, most = _TOKENS[device]
    tokens = int(_FLOP[device] / (2 * max(1, parameters)))
    return min(most, max(least, 1 << (tokens.bit_length() - 1)))


def plan_batches(lengths: Sequence[int], *, budget: int, seed: int) -> list[NDArray[np.int64]]:
    """Batches of positions into `lengths` (tokens of each example); each position is in exactly one batch.

    A batch padded to its longest example holds at most `budget` tokens, or a single example.
    """
    sizes = np.asarray(lengths, dtype=np.int64)
    generator = np.random.Generator(np.random.PCG64(seed))
    plan = []
    for window in _windows(generator.permutation(len(sizes)), sizes, budget):
        batches = list(by_length(window, sizes, budget))
        plan += [batches[place] for place in generator.permutation(len(batches))]
    return plan


def by_length(positions: NDArray[np.int64], sizes: NDArray[np.int64], budget: int) -> Iterator[NDArray[np.int64]]:
    """The positions cut into batches of similar `sizes` (tokens of each example), the longest first.

    A batch padded to its longest example holds at most `budget` tokens, or a single example.
    """
    # Ties keep the row order, so that equal lengths do not depend on a shuffle.
    ranked = positions[np.lexsort((positions, -sizes[positions]))]
    start = 0
    while start < len(ranked):
        longest = max(1, int(sizes[ranked[start]]))
        count = max(1, budget // longest)
        yield ranked[start : start + count]
        start += count


def plan_in_order(
    lengths: Sequence[int], order: NDArray[np.int64], *, budget: int, padded: bool
) -> list[NDArray[np.int64]]:
    """Batches that are consecutive pieces of `order`, a permutation: after each, what was seen is a prefix of it.

    For runs that may stop early. A batch holds at most `budget` tokens (as `padded` to its longest example, or as they
    are), or a single example.
    """
    plan: list[NDArray[np.int64]] = []
    start = tokens = longest = 0
    for place, position in enumerate(order.tolist()):
        length = max(1, lengths[position])
        tokens, longest = tokens + length, max(longest, length)
        held = longest * (place - start + 1) if padded else tokens
        if held > budget and place > start:
            plan.append(order[start:place])
            start, tokens, longest = place, length, length
    return [*plan, order[start:]] if start < len(order) else plan


def with_short_start(plan: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """The plan with two eighths of its first batch as batches of their own: a large model shows its answers sooner.

    Two, because small machines have two cores, and two batches at work.
    """
    if not plan or len(plan[0]) < _SHORT:
        return plan
    part = len(plan[0]) // _SHORT
    return [plan[0][:part], plan[0][part : 2 * part], plan[0][2 * part :], *plan[1:]]


def padding_share(lengths: Sequence[int], batches: Sequence[NDArray[np.int64]]) -> float:
    """The share of padding tokens where each batch is padded to its longest example."""
    sizes = np.asarray(lengths, dtype=np.int64)
    padded = sum(len(batch) * int(sizes[batch].max()) for batch in batches)
    return 1 - int(sizes.sum()) / padded if padded else 0.0


def _windows(order: NDArray[np.int64], sizes: NDArray[np.int64], budget: int) -> Iterator[NDArray[np.int64]]:
    tokens = np.cumsum(sizes[order])
    total = int(tokens[-1]) if len(tokens) else 0
    count = max(1, total // (_WINDOW_BATCHES * budget))
    cuts = np.searchsorted(tokens, [total * part // count for part in range(1, count)])
    yield from np.split(order, cuts)
