import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from tests.workers.runtime_packed.tiny_models import one_at_a_time, random_examples, tiny
from workers.runtime.packed import packed_backend

pytestmark = [
    pytest.mark.worker,
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here: the packed forward ran on CPU only"),
]


@pytest.mark.parametrize("name", ["bert", "roberta", "deberta"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float16, 3e-2), (torch.bfloat16, 0.1)])
def test_a_gpu_gives_the_logits_of_the_cpu(name: str, dtype: torch.dtype, tolerance: float) -> None:
    model = tiny(name)
    examples = random_examples((1, 7, 33, 33, 64, 512, 2), model)
    expected = one_at_a_time(model, examples)
    backend = packed_backend(model, device=torch.device("cuda"), dtype=dtype)
    assert backend is not None
    logits = backend.logits(examples)
    assert_allclose(logits, expected, rtol=0, atol=tolerance)
    assert_array_equal(backend.logits(examples), logits)
    if dtype is torch.float32:
        assert np.array_equal(logits.argmax(axis=1), expected.argmax(axis=1))
