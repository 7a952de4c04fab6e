"""Products of matrices by seven of half the size each way (Strassen 1969): an eighth fewer operations, in float32.

Each of the seven is oneDNN's, with factors of the weights that are laid out once, and take 7/4 of the weights' memory.
Rounding errors grow to one and a half times those of plain products (docs/decisions/0040), which is why nothing is
halved twice, and no lower dtype is multiplied so.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch

from workers.runtime.packed.linear import Product, linear
from workers.runtime.packed.native import Native
from workers.runtime.packed.native.strassen import STEP, Factors, Joining, split

LEAST: Final = 512
"""Of rows and columns of a weight: with smaller ones the sums cost what the products save."""


def gains(rows: int, columns: int) -> bool:
    """Whether a weight [N, K] of this shape is multiplied faster so."""
    return min(rows, columns) >= LEAST and rows % STEP == columns % STEP == 0


@dataclass(frozen=True, slots=True)
class StrassenProduct:
    """As `linear` gives it, without GELU."""

    weights: tuple[Product, ...]
    """The factors of the weight, in the order of the factors of x: [⌈M / 2⌉, K / 2] -> [⌈M / 2⌉, N / 2]."""
    joining: Joining

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """[M, K] -> x Wᵀ + b [M, N]."""
        factors = split(self.joining.native, x)
        return self.joining.join(self.products(factors), factors)

    def products(self, factors: Factors) -> list[torch.Tensor]:
        """The seven products of the factors of x."""
        return [weight(part) for weight, part in zip(self.weights, factors.parts, strict=True)]


def strassen(weight: torch.Tensor, bias: torch.Tensor, native: Native) -> StrassenProduct:
    """The map x [M, K] -> x Wᵀ + b [M, N] for W [N, K] in float32; W is spent, and not kept."""
    sizes = _powers_of_two(weight)
    weight.div_(sizes[:, None])
    # Of the matrix that x is multiplied with, Wᵀ: rows and columns change their places.
    (b11, b21), (b12, b22) = (half.chunk(2, dim=1) for half in weight.chunk(2))
    room = torch.empty(b11.shape)
    factors: tuple[Callable[[], torch.Tensor], ...] = (
        lambda: torch.add(b11, b22, out=room),
        lambda: b11,
        lambda: torch.sub(b12, b22, out=room),
        lambda: torch.sub(b21, b11, out=room),
        lambda: b22,
        lambda: torch.add(b11, b12, out=room),
        lambda: torch.add(b21, b22, out=room),
    )
    # Laid out one by one, because that copies.
    return StrassenProduct(tuple(linear(factor(), None) for factor in factors), Joining(native, sizes, bias))


def _powers_of_two(weight: torch.Tensor) -> torch.Tensor:
    """About the size of each row, [N]: divided by it, all are about as large."""
    norms = weight.norm(dim=1)
    return torch.exp2(torch.where((norms > 0) & norms.isfinite(), norms, 1.0).log2().round())


@dataclass(frozen=True, slots=True)
class StrassenFeed:
    """A layer's feed-forward: what lies between its two products is never put together."""

    up: StrassenProduct
    down: StrassenProduct

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """[M, d] -> [M, d]."""
        narrow = split(self.up.joining.native, x)
        wide = self.up.joining.join_gelu_split(self.up.products(narrow), narrow)
        return self.down.joining.join(self.down.products(wide), wide)
