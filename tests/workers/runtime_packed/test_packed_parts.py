import sys

import pytest
import torch
from torch.testing import assert_close
from transformers.models.deberta_v2.modeling_deberta_v2 import build_relative_position

from tests.workers.runtime_packed.tiny_models import CPU, one_at_a_time, random_examples, tiny
from workers.runtime.packed import gpu, packed_backend
from workers.runtime.packed import linear as packed_linear
from workers.runtime.packed.embed import counted, counted_past
from workers.runtime.packed.layout import Positions, Span, blocks, pack
from workers.runtime.packed.positions import Buckets, Projections

pytestmark = pytest.mark.worker


def test_examples_of_one_length_form_a_span() -> None:
    examples = random_examples((2, 3, 3, 5), tiny("bert"))
    packed = pack(examples, Positions(counted, 5), CPU)
    assert packed.spans == (Span(0, 1, 2), Span(2, 2, 3), Span(8, 1, 5))
    assert packed.longest == 5
    assert packed.first_rows.tolist() == [0, 2, 5, 8]
    assert packed.lengths.tolist() == [2, 3, 3, 5]
    assert packed.positions is not None
    assert packed.positions.tolist() == [0, 1, 0, 1, 2, 0, 1, 2, 0, 1, 2, 3, 4]
    assert packed.input_ids[5:8].tolist() == examples[2].input_ids.tolist()


def test_blocks_bound_the_scores_and_lose_nobody() -> None:
    lengths = [1, 2, 2, 10, 10, 10, 30]
    cuts = list(blocks(lengths, 200))
    assert [index for cut in cuts for index in range(cut.start, cut.stop)] == list(range(7))
    assert all(sum(lengths[cut]) * max(lengths[cut]) <= 200 for cut in cuts[:-1])
    assert [lengths[cut] for cut in cuts][-1] == [30], "a single example may be larger than the budget"
    assert list(blocks([], 200)) == []


def test_the_padding_token_takes_no_position_in_roberta() -> None:
    model = tiny("roberta")
    (example,) = random_examples((9,), model)
    example.input_ids[[2, 6]] = model.config.pad_token_id
    assert counted_past(1)(example.input_ids).tolist() == [2, 3, 1, 4, 5, 6, 1, 7, 8]
    expected = one_at_a_time(model, [example])
    backend = packed_backend(model, device=CPU, dtype=torch.float32)
    assert backend is not None
    assert_close(torch.from_numpy(backend.logits([example])), torch.from_numpy(expected), rtol=0, atol=1e-4)


def test_an_example_longer_than_the_positions_is_refused() -> None:
    for name in ("bert", "roberta"):
        model = tiny(name, max_position_embeddings=20)
        examples = random_examples((21,), model)
        backend = packed_backend(model, device=CPU, dtype=torch.float32)
        assert backend is not None
        with pytest.raises(ValueError, match="positions"):
            backend.logits(examples)


def test_an_example_without_tokens_is_refused() -> None:
    model = tiny("bert")
    examples = random_examples((4, 0), model)
    backend = packed_backend(model, device=CPU, dtype=torch.float32)
    assert backend is not None
    with pytest.raises(ValueError, match="tokens"):
        backend.logits(examples)


@pytest.mark.parametrize(("buckets", "largest"), [(256, 512), (32, 512), (16, 40), (-1, 512), (-1, 24)])
def test_buckets_are_those_of_transformers(buckets: int, largest: int) -> None:
    length = 512
    rows = torch.empty(1, length, 1)
    expected = build_relative_position(rows, rows, bucket_size=buckets, max_position=largest)[0]
    ours = Buckets(buckets, largest)
    expected = torch.clamp(expected + ours.span, 0, 2 * ours.span - 1)
    distances = torch.arange(length)[:, None] - torch.arange(length)
    assert torch.equal(ours.rows(distances), expected)


def test_projections_are_laid_out_around_the_distance_zero() -> None:
    keys, queries = torch.randn(2, 8, 3), torch.randn(2, 8, 3)
    projections = Projections(Buckets(-1, 4), keys, queries)
    for longest in (1, 3, 2, 6):
        around = projections.around(longest)
        assert around.shape == (4, 2 * longest - 1, 3)
        for place, distance in enumerate(range(1 - longest, longest)):
            row = min(max(distance + 4, 0), 7)
            assert torch.equal(around[2:, place], queries[:, row])
            assert torch.equal(around[:2, -1 - place], keys[:, row])
        columns = projections.columns(longest)
        assert columns.shape[2] % 16 == 0
        assert torch.equal(columns[:, :, : 2 * longest - 1], around.transpose(1, 2))


@pytest.mark.parametrize("name", ["bert", "deberta"])
def test_without_onednn_the_plain_products_serve(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny(name)
    examples = random_examples((3, 9, 9, 40), model)
    expected = one_at_a_time(model, examples)
    monkeypatch.setattr(packed_linear, "_onednn_works", lambda _: False)
    backend = packed_backend(model, device=CPU, dtype=torch.float32)
    assert backend is not None
    assert_close(torch.from_numpy(backend.logits(examples)), torch.from_numpy(expected), rtol=0, atol=1e-4)


def test_laid_out_products_are_the_plain_ones() -> None:
    generator = torch.Generator().manual_seed(1)
    x, weight, bias = (torch.randn(*size, generator=generator) for size in ((37, 48), (80, 48), (80,)))
    for gelu in (False, True):
        plain = packed_linear.plain_linear(weight, bias, gelu=gelu)(x)
        assert_close(packed_linear.linear(weight, bias, gelu=gelu)(x), plain, rtol=1e-5, atol=1e-5)


def test_the_gelu_is_the_exact_one() -> None:
    x = torch.linspace(-6, 6, 4001)[:, None].repeat(1, 16)
    ours = packed_linear.linear(torch.eye(16), torch.zeros(16), gelu=True)(x).double()
    exact = torch.nn.functional.gelu(x.double())
    assert (ours - exact).abs().max() < 2e-6
    assert (torch.nn.functional.gelu(x.double(), approximate="tanh") - exact).abs().max() > 1e-4


def test_without_triton_the_plain_parts_are_used_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(gpu._LOG, "warning", lambda message, *_: said.append(message))
    monkeypatch.setitem(sys.modules, "workers.runtime.packed.kernels", None)  # as where its import fails
    assert gpu.kernels_for(torch.device("cuda", 7)) is None
    assert ["kernels of the GPU are not used" in message for message in said] == [True]
    assert gpu.kernels_for(CPU) is None


@pytest.mark.parametrize("longest", [1, 9, 33, 64])
def test_only_the_positions_that_are_reached_are_kept(longest: int) -> None:
    model = tiny("deberta", position_buckets=64)
    examples = random_examples([length for length in (1, 3, 9, 30, 64) if length <= longest], model)
    whole, part = (
        packed_backend(model, device=CPU, dtype=torch.float32, spend=False, longest=most) for most in (None, longest)
    )
    assert whole is not None
    assert part is not None
    assert_close(torch.from_numpy(part.logits(examples)), torch.from_numpy(whole.logits(examples)), rtol=0, atol=1e-5)
    buckets = Buckets(256, 512)
    assert buckets.reached(None) == (0, 512)
    first, last = buckets.reached(128)
    assert last - first < 300
