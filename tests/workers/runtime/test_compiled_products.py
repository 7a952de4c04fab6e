"""What is compiled for a number of rows is not kept for as many of them as there are batches: in a process alone."""

import os
import subprocess
import sys

import pytest
import torch

from workers.runtime.packed.linear import lays_out

pytestmark = [
    pytest.mark.worker,
    pytest.mark.skipif(not lays_out(torch.float32), reason="a build of torch without oneDNN"),
]

_CHILD = """
import resource
import torch
from workers.runtime.memory import keep_few_products, keep_freed_memory, return_freed_memory
from workers.runtime.packed.linear import linear

def resident():
    return_freed_memory()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

torch.set_num_threads(1)
keep_freed_memory()
keep_few_products()
x = torch.randn(500, 384)
products = [linear(torch.randn(width, 384), torch.randn(width), gelu=True) for width in (1152, 1536)]
with torch.inference_mode():
    for product in products:
        product(x)
    before = resident()
    for rows in range(100, 500):
        for product in products:
            product(x[:rows])
print(resident() - before)
"""


def _grown(**environment: str) -> int:
    found = subprocess.run(
        [sys.executable, "-c", _CHILD], check=True, capture_output=True, text=True, env=os.environ | environment
    )
    return int(found.stdout)


def test_few_shapes_are_kept() -> None:
    every = _grown(ONEDNN_PRIMITIVE_CACHE_CAPACITY="1024", LRU_CACHE_CAPACITY="1024")
    assert 3 * _grown() < every
