"""The kernels in C against the same formulas in float64, for every set of instructions that this processor has."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from workers.runtime.packed import cpu
from workers.runtime.packed.native import Native, Table, levels
from workers.runtime.packed.native.strassen import Joining, split
from workers.runtime.packed.strassen import StrassenFeed, strassen

pytestmark = [pytest.mark.worker, pytest.mark.skipif(not levels(), reason="no compiler, or no AVX2")]

LEVELS = pytest.mark.parametrize("native", levels(), ids=[one.level for one in levels()])
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
REACH = 160


def random(*size: int, seed: int) -> torch.Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def rows_of(lengths: list[int], heads: int, size: int, seed: int, dtype: torch.dtype) -> torch.Tensor:
    qkv = random(sum(lengths), 3 * heads * size, seed=seed)
    qkv[:, : heads * size] /= size**0.5
    return qkv.to(dtype)


def table_of(heads: int, size: int, seed: int) -> Table:
    return Table(random(heads, 2, size, 2 * REACH + 1, seed=seed + 1) / size**0.5, REACH)


def attended(native: Native, qkv: torch.Tensor, table: Table | None, lengths: list[int], heads: int) -> torch.Tensor:
    sizes = torch.tensor(lengths)
    return native.attend(qkv, table, sizes.cumsum(0) - sizes, sizes, heads=heads, longest=max(lengths))


def expected(qkv: torch.Tensor, table: Table | None, lengths: list[int], heads: int) -> torch.Tensor:
    """softmax(q kᵀ + q PK[i - j] + k PQ[i - j]) v, pair by pair of tokens, in float64."""
    mixed = []
    for rows in torch.split(qkv.double(), lengths):
        q, k, v = rows.view(len(rows), 3, heads, -1).permute(1, 2, 0, 3)
        scores = q @ k.transpose(1, 2)
        if table is not None:
            place = torch.arange(len(rows))
            apart = place[:, None] - place[None, :] + table.centre
            of_keys, of_queries = table.numbers.double()[:, :, :, apart].unbind(1)
            scores = scores + torch.einsum("hid,hdij->hij", q, of_keys) + torch.einsum("hjd,hdij->hij", k, of_queries)
        mixed.append((torch.softmax(scores, dim=-1) @ v).transpose(0, 1).flatten(1))
    return torch.cat(mixed)


@LEVELS
@DTYPES
def test_attention_of_any_shape(native: Native, dtype: torch.dtype) -> None:
    @settings(deadline=None, max_examples=60)
    @given(
        st.lists(st.integers(1, 75), min_size=1, max_size=4),
        st.integers(1, 3),
        st.integers(1, 9).map(lambda count: 8 * count),
        st.booleans(),
        st.integers(0, 2**16),
    )
    def check(lengths: list[int], heads: int, size: int, positions: bool, seed: int) -> None:  # noqa: FBT001
        qkv = rows_of(lengths, heads, size, seed, dtype)
        table = table_of(heads, size, seed) if positions else None
        found = attended(native, qkv, table, lengths, heads)
        assert found.dtype is dtype
        tolerance = 1e-5 if dtype is torch.float32 else 2**-8
        assert_allclose(found.double(), expected(qkv, table, lengths, heads), rtol=tolerance, atol=tolerance)

    check()


@LEVELS
def test_long_examples(native: Native) -> None:
    lengths = [130, 1, 128]
    qkv, table = rows_of(lengths, 2, 64, 3, torch.float32), table_of(2, 64, 3)
    found = attended(native, qkv, table, lengths, 2)
    assert_allclose(found.double(), expected(qkv, table, lengths, 2), rtol=0, atol=1e-5)


@LEVELS
@DTYPES
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("part", ["q", "k", "v"])
@pytest.mark.parametrize("row", [0, 5, 10])
def test_what_is_not_finite_does_not_become_an_answer(
    native: Native, dtype: torch.dtype, value: float, part: str, row: int
) -> None:
    qkv = rows_of([11, 9], 2, 16, 0, dtype)
    qkv[row, 32 * "qkv".index(part) + 3] = value
    found = attended(native, qkv, table_of(2, 16, 0), [11, 9], 2).float()
    plain = expected(qkv.float(), table_of(2, 16, 0), [11, 9], 2).float()
    assert not plain[:11].isfinite().all()
    # An infinite key makes scores of -inf, which are no part of an answer, and where infinities meet depends on the
    # order of the sum. With it some queries get no number, as by the formula; else each that gets none by it.
    assert part == "k" or not (found.isfinite() & ~plain.isfinite()).any()
    assert not found[:11].isfinite().all()
    assert found[11:].isfinite().all(), "the other example"


@LEVELS
def test_the_number_of_threads_changes_no_bit(native: Native) -> None:
    lengths = [3, 17, 17, 40, 41]
    qkv, table = rows_of(lengths, 3, 24, 1, torch.float32), table_of(3, 24, 1)
    x, weight, bias = random(sum(lengths), 72, seed=2), random(72, seed=3), random(72, seed=4)
    found = []
    for threads in (1, 2, 5, 9):
        torch.set_num_threads(threads)
        mixed = attended(native, qkv, table, lengths, 3)
        found.append((mixed, native.norm_of_sum(mixed.clone(), x, weight, bias, 1e-7)))
    for mixed, normed in found[1:]:
        assert torch.equal(mixed, found[0][0])
        assert torch.equal(normed, found[0][1])


@LEVELS
@DTYPES
@pytest.mark.parametrize("width", [8, 24, 32, 40, 384])
def test_the_norm_of_a_sum(native: Native, dtype: torch.dtype, width: int) -> None:
    # Far from zero: a variance as the difference of two squares would lose it.
    x, y = random(13, width, seed=0) + 1000, random(13, width, seed=1).to(dtype)
    weight, bias = random(width, seed=2), random(width, seed=3)
    total = x.double() + y.double()
    plain = torch.nn.functional.layer_norm(total, (width,), weight.double(), bias.double(), 1e-7)
    assert_allclose(native.norm_of_sum(y, x, weight, bias, 1e-7).double(), plain, rtol=0, atol=2e-3)
    x -= 1000
    total = x.double() + (y := random(13, width, seed=1).to(dtype)).double()
    plain = torch.nn.functional.layer_norm(total, (width,), weight.double(), bias.double(), 1e-7)
    assert_allclose(native.norm_of_sum(y, x, weight, bias, 1e-7).double(), plain, rtol=1e-5, atol=1e-5)
    x[4, 3] = float("nan")
    normed = native.norm_of_sum(y, x, weight, bias, 1e-7)
    assert not normed[4].isfinite().any()
    assert normed[5:].isfinite().all()


@LEVELS
def test_strassens_products_of_any_shape(native: Native) -> None:
    @settings(deadline=None, max_examples=60)
    @given(
        st.integers(1, 70),
        st.integers(1, 5).map(lambda count: 32 * count),
        st.integers(1, 5).map(lambda count: 32 * count),
        st.integers(0, 2**16),
    )
    def check(rows: int, inner: int, outer: int, seed: int) -> None:
        x, up, down = random(rows, inner, seed=seed), random(outer, inner, seed=seed + 1), random(inner, outer, seed=2)
        one, two = random(outer, seed=3), random(inner, seed=4)
        # Rows, and rows of weights, of all sizes: none may lose its digits to a larger one beside it.
        x *= 10.0 ** random(rows, 1, seed=5)
        up *= 10.0 ** random(outer, 1, seed=6)
        first = strassen(up.clone(), one, native)
        exact = x.double() @ up.double().t()
        size = x.double().norm(dim=1, keepdim=True) * up.double().norm(dim=1)
        assert ((first(x).double() - one - exact).abs() <= 2e-6 * size + 2e-7 * (exact + one).abs()).all()
        x, up = random(rows, inner, seed=seed), up / up.norm(dim=1, keepdim=True)
        feed = StrassenFeed(strassen(up.clone(), one, native), strassen(down.clone(), two, native))
        wide = torch.nn.functional.gelu(x.double() @ up.double().t() + one)
        assert_allclose(feed(x).double(), wide @ down.double().t() + two, rtol=1e-5, atol=5e-5)

    check()


@LEVELS
def test_the_gelu_is_the_exact_one(native: Native) -> None:
    # Products with the identity, of rows that are one number each: what is left is the GELU.
    extremes = torch.tensor([-1e30, -100.0, -5.54, -5.5, 0.0, -0.0, 5.5, 5.54, 100.0, 1e30])
    numbers = torch.cat([torch.linspace(-9, 9, 4000), extremes])
    place = torch.arange(len(numbers)) % 32
    rows = torch.zeros(len(numbers), 32)
    rows[torch.arange(len(numbers)), place] = numbers
    feed = StrassenFeed(*(strassen(torch.eye(32), torch.zeros(32), native) for _ in range(2)))
    found = feed(rows)[torch.arange(len(numbers)), place].double()
    plain = torch.nn.functional.gelu(numbers.double())
    assert ((found - plain).abs() <= 1.2e-6 + 4e-7 * plain.abs()).all()


@LEVELS
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_none_after_strassens_products_either(native: Native, value: float) -> None:
    x = random(7, 64, seed=0)
    x[1, 5] = value
    product = strassen(random(96, 64, seed=1), random(96, seed=2), native)(x)
    assert not product[1].isfinite().any()
    # Rows 1 and 5 are worked at together.
    assert product[[0, 2, 3, 4, 6]].isfinite().all()


@LEVELS
def test_the_number_of_threads_changes_no_bit_of_strassens_products(native: Native) -> None:
    x = random(41, 64, seed=0)
    feed = StrassenFeed(
        strassen(random(96, 64, seed=1), random(96, seed=2), native),
        strassen(random(64, 96, seed=3), random(64, seed=4), native),
    )
    found = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        narrow = split(native, x)
        wide = feed.up.joining.join_gelu_split(
            [part.repeat(1, 2)[:, :48].contiguous() for part in narrow.parts], narrow
        )
        found.append((*narrow.parts, narrow.scales, *wide.parts, wide.scales))
    for others in found[1:]:
        assert all(map(torch.equal, others, found[0]))


@LEVELS
def test_bfloat16_is_rounded_as_torch_rounds(native: Native) -> None:
    # One key, whose weight is 1: what comes out is the value, rounded to bfloat16 and back.
    values = torch.cat([torch.tensor([0.0, -0.0, 1e-40, -1e38, float("inf")]), random(59, seed=5)]).bfloat16()
    qkv = torch.cat([torch.zeros(128, dtype=torch.bfloat16), values])[None]
    assert torch.equal(attended(native, qkv, None, [1], 1)[0], values)
    mixed = attended(native, rows_of([9], 1, 64, 6, torch.bfloat16), None, [9], 1)
    exact = attended(native, rows_of([9], 1, 64, 6, torch.bfloat16).float(), None, [9], 1)
    assert torch.equal(mixed, exact.bfloat16())


@LEVELS
def test_other_shapes_and_dtypes_are_refused(native: Native) -> None:
    for qkv in (torch.zeros(4, 3 * 12), torch.zeros(4, 3 * 16, dtype=torch.float64)):
        with pytest.raises(ValueError, match="not for these kernels"):
            attended(native, qkv, None, [4], 1)
    for rows in (torch.zeros(2, 48), torch.zeros(2, 64, dtype=torch.bfloat16)):
        with pytest.raises(ValueError, match="not for these kernels"):
            split(native, rows)
    joining = Joining(native, torch.ones(64), torch.zeros(64))
    factors = split(native, torch.zeros(5, 64))
    for products in ([torch.zeros(3, 32)] * 6, [torch.zeros(2, 32)] * 7, [torch.zeros(3, 48)] * 7):
        with pytest.raises(ValueError, match=r"joined|not for"):
            joining.join(products, factors)
    one = torch.zeros(12)
    with pytest.raises(ValueError, match="not for these kernels"):
        native.norm_of_sum(torch.zeros(2, 12), torch.zeros(2, 12), one, one, 1e-7)


@pytest.mark.parametrize(
    ("owner", "name", "wrong"),
    [
        (Native, "norm_of_sum", lambda *_: torch.zeros(57, 32)),
        (StrassenFeed, "__call__", lambda _, x: torch.zeros_like(x)),
    ],
)
def test_kernels_that_give_something_else_are_not_used(
    owner: type, name: str, wrong: Callable[..., torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(cpu._LOG, "warning", lambda message, *_: said.append(message))
    monkeypatch.setattr(owner, name, wrong)
    cpu.native_kernels.cache_clear()
    assert cpu.native_kernels() is None
    assert ["kernels are not used" in message for message in said] == [True]
    monkeypatch.undo()
    cpu.native_kernels.cache_clear()
    assert cpu.native_kernels() is not None
