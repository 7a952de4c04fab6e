"""GRIM: whether a printed accuracy can be a number of correct items divided by N at all."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import floor

from app.statistics.counts import ImpossibleCountsError, whole
from app.statistics.printed import Unit, decimals_of, scale_of, share_of


@dataclass(frozen=True, slots=True)
class GrimResult:
    """`counts`: the first and last k of 0..n with k/n printed as the value, empty where impossible.

    `nearest`: where impossible, the printed values next to it that some k/n does round to, ascending, in the same unit
    and with as many decimals; the value itself where possible.
    """

    possible: bool
    counts: tuple[int, ...]
    nearest: tuple[Decimal, ...]


def grim(reported: Decimal, n: int, *, unit: Unit) -> GrimResult:
    """Whether some k/n, 0 <= k <= n, rounds to the value as printed (trailing zeros count as decimals).

    Exact, in fractions. A tie may round up or to the even digit, as papers do both: so k/n in [v - h, v + h), h half of
    the last digit, and v + h too where the last digit is even. Source: Brown & Heathers 2017, SPPS 8:363.
    Raises PrintedValueError, and ImpossibleCountsError where n is not a whole number of at least 1.
    """
    size = whole("n", n)
    if size == 0:
        msg = "n must be at least 1"
        raise ImpossibleCountsError(msg)
    share, digit = share_of(reported, unit), Fraction(1, 10 ** decimals_of(reported) * scale_of(unit))
    first = max(0, -floor(-size * (share - digit / 2)))
    highest = size * (share + digit / 2)
    last = min(size, floor(highest))
    even = (share / digit) % 2 == 0
    if last == highest and not even:
        last -= 1
    if first > last:
        first, last = _as_double(reported, size, unit)
    if first <= last:
        return GrimResult(possible=True, counts=(first, last), nearest=(reported,))
    return GrimResult(possible=False, counts=(), nearest=_nearest(share, size, reported, unit))


def _as_double(reported: Decimal, n: int, unit: Unit) -> tuple[int, int]:
    """The k whose k/n, computed in double precision, is the printed number; (0, -1) where there is none.

    Software prints a double with as many digits as tell it from its neighbours; these may end one off the exact
    quotient (8328/9815 is printed 0.8484971981660724 and is 0.84849719816607234...).
    """
    k = round(share_of(reported, unit) * n)
    computed = {k / n * scale_of(unit), k * scale_of(unit) / n}
    return (k, k) if float(reported) in computed else (0, -1)


def _nearest(share: Fraction, n: int, reported: Decimal, unit: Unit) -> tuple[Decimal, ...]:
    below = floor(share * n)
    scale, decimals = scale_of(unit), decimals_of(reported)
    digits = {floor(Fraction(k, n) * scale * 10**decimals + Fraction(1, 2)) for k in (below, below + 1) if k <= n}
    return tuple(Decimal((0, tuple(map(int, str(one))), -decimals)) for one in sorted(digits))
