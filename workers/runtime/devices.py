"""Which device a run uses, and the settings under which it gives the same bits twice."""

import os
import platform
from dataclasses import dataclass

import torch

from app.protocol.driver import DType
from app.protocol.errors import DriverError


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """The hardware and arithmetic settings of a run."""

    device: str
    name: str
    dtype: str
    threads: int
    seed: int
    deterministic: bool
    cuda: str | None


def choose_device(wanted: str) -> torch.device:
    """`auto` (a CUDA device where there is one), `cpu`, `cuda` or `cuda:N`. Raises DriverError `device_unavailable`."""
    if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    index = "0" if wanted in {"auto", "cuda"} else wanted.removeprefix("cuda:")
    if not index.isdecimal() or int(index) >= torch.cuda.device_count():
        raise DriverError(
            code="device_unavailable",
            message=f"This worker has no device {wanted}. It has {torch.cuda.device_count()} CUDA devices and a CPU.",
            retryable=True,
        )
    return torch.device("cuda", int(index))


def require_dtype(device: torch.device, dtype: DType) -> None:
    """Raise DriverError `dtype_unsupported` where the device cannot compute so, or only far more slowly."""
    if device.type == "cpu" and dtype in {DType.float16, DType.tf32}:
        raise DriverError(
            code="dtype_unsupported", message=f"{dtype} is for CUDA devices; on a CPU use float32, or bfloat16."
        )


def make_deterministic(seed: int) -> None:
    """Fix what the process can vary: seeds, algorithms, and float32 that is float32 (no TF32, no bf16 inside)."""
    # cuBLAS reads this when its handle is made, so it must be there before the first product.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Read at the first product. oneDNN compiles one for each number of rows, which hardly any two batches share, and
    # would keep the last 1,024 of them: 90 MiB and more.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
    torch.manual_seed(seed)
    torch.set_deterministic_debug_mode("error")
    # Otherwise every torch.empty is filled with NaN first, which costs time and guards only against torch's own bugs.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.benchmark = False


def device_facts(device: torch.device, dtype: DType, seed: int) -> DeviceFacts:
    """What the evidence says about the machine."""
    on_cuda = device.type == "cuda"
    return DeviceFacts(
        device=str(device),
        name=torch.cuda.get_device_name(device) if on_cuda else _cpu_name(),
        dtype=dtype.value,
        threads=torch.get_num_threads(),
        seed=seed,
        deterministic=torch.are_deterministic_algorithms_enabled(),
        cuda=torch.version.cuda if on_cuda else None,
    )


def _cpu_name() -> str:
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{platform.processor() or platform.machine()} ({capability})"
