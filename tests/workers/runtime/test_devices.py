import pytest
import torch

from app.protocol.driver import DType
from app.protocol.errors import DriverError
from workers.runtime.devices import choose_device, device_facts, make_deterministic, require_dtype

pytestmark = pytest.mark.worker


def test_the_cpu_is_there() -> None:
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("wanted", ["cuda:99", "cuda:x", "tpu", "cuda:", ""])
def test_a_device_that_is_not_there(wanted: str) -> None:
    with pytest.raises(DriverError) as caught:
        choose_device(wanted)
    assert (caught.value.code, caught.value.retryable) == ("device_unavailable", True)


def test_dtypes_that_a_cpu_is_not_for() -> None:
    for dtype in (DType.float16, DType.tf32):
        with pytest.raises(DriverError) as caught:
            require_dtype(torch.device("cpu"), dtype)
        assert caught.value.code == "dtype_unsupported"
        require_dtype(torch.device("cuda"), dtype)
    for dtype in (DType.float32, DType.bfloat16):
        require_dtype(torch.device("cpu"), dtype)


def test_determinism_is_switched_on_and_stated() -> None:
    make_deterministic(7)
    facts = device_facts(torch.device("cpu"), DType.float32, 7)
    assert facts.deterministic
    assert facts.threads == torch.get_num_threads()
    assert torch.get_float32_matmul_precision() == "highest"
    first = torch.rand(3)
    make_deterministic(7)
    assert torch.equal(first, torch.rand(3))
