"""What a batch frees is there for the next one, and what a model frees goes back to the machine: in a process alone."""

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")

_CHILD = """
import ctypes, resource, sys
from workers.runtime.memory import keep_freed_memory, return_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

if sys.argv[1] == "kept":
    keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
SIZE = 24 << 20

def batch():
    blocks = [libc.malloc(ctypes.c_size_t(SIZE)) for _ in range(4)]
    for block in blocks:
        ctypes.memset(block, 1, SIZE)
    # Freed from the first on, as a batch frees what it needs no longer.
    for block in blocks:
        libc.free(ctypes.c_void_p(block))

batch()
before = faults()
for _ in range(5):
    batch()
print(faults() - before)
held = resident()
return_freed_memory()
print(held - resident())
"""


def _measured(kind: str) -> tuple[int, int]:
    """Page faults of five more batches, and the bytes that went back to the machine."""
    found = subprocess.run([sys.executable, "-c", _CHILD, kind], check=True, capture_output=True, text=True)
    faults, returned = map(int, found.stdout.split())
    return faults, returned


def test_what_is_freed_is_kept_for_the_next_batch_and_given_back_when_asked() -> None:
    plain, _ = _measured("plain")
    kept, returned = _measured("kept")
    assert 20 * kept < plain, "five times 96 MiB"
    assert returned > 64 << 20
