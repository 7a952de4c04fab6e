"""How much memory a device has, and how much of it is free: a GPU's own, or what this process may use of the host's."""

import ctypes
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import torch

_GROUP: Final = Path("/sys/fs/cgroup")
_HOST: Final = Path("/proc/meminfo")
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Of mallopt(3)."""


@dataclass(frozen=True, slots=True)
class Memory:
    """In bytes."""

    total: int
    free: int


Measure = Callable[[torch.device], Memory]


def memory_of(device: torch.device) -> Memory:
    """The memory of the device now. On a CPU the host's, or the container's where that has a lower limit."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        # What torch's allocator holds and does not use is free for us.
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return Memory(total, free + held)
    return host_memory(_HOST, _GROUP)


def host_memory(host: Path, group: Path) -> Memory:
    """The memory by the files of the kernel: `host` as /proc/meminfo, `group` the folder of a control group (v2)."""
    lines = (line.split() for line in host.read_text("ascii").splitlines())
    sizes = {words[0].rstrip(":"): int(words[1]) << 10 for words in lines}
    memory = Memory(sizes["MemTotal"], sizes["MemAvailable"])
    try:
        limit = (group / "memory.max").read_text("ascii").strip()
        used = int((group / "memory.current").read_text("ascii"))
        stat = dict(line.split() for line in (group / "memory.stat").read_text("ascii").splitlines())
    except (OSError, ValueError):
        return memory
    if limit == "max":
        return memory
    # Clean pages of files count as used, and are given up at once.
    free = int(limit) - used + int(stat.get("inactive_file", 0))
    return Memory(min(memory.total, int(limit)), max(0, min(memory.free, free)))


@cache
def keep_freed_memory() -> None:
    """Have what a batch frees stay the process's, for the next batch: up to 256 MiB for each thread's own memory.

    glibc gives large blocks back to the kernel, which clears every page before it gives it out again: up to a tenth of
    a run's time. Where the C library is another one, nothing changes.
    """
    mallopt = _glibc("mallopt")
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, 32 << 20)
        mallopt(_TRIM_THRESHOLD, 256 << 20)


def keep_few_products() -> None:
    """Have what is compiled for a shape of products be kept for few shapes: by oneDNN, and by each thread of torch's.

    To be called before the first product. Hardly two packed batches have the same number of rows; both would keep what
    they compiled for the last 1,024, which took some 300 MiB after 120 batches (docs/decisions/0041).
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")
    os.environ.setdefault("LRU_CACHE_CAPACITY", "32")


def return_freed_memory() -> None:
    """Give the kernel every free page of the process, where glibc keeps them."""
    trim = _glibc("malloc_trim")
    if trim is not None:
        trim(ctypes.c_size_t(0))


def _glibc(name: str) -> Callable[..., int] | None:
    try:
        found: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError):
        return None
    return found


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # torch's CPU allocator has no class of its own for it.
    return "DefaultCPUAllocator" in str(error) or "not enough memory" in str(error)
