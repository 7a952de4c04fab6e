import shutil
from pathlib import Path

import pytest
import torch

from workers.runtime.packed.native import levels

pytestmark = pytest.mark.worker


@pytest.mark.skipif(
    shutil.which("cc") is None or torch.backends.cpu.get_cpu_capability() not in {"AVX2", "AVX512"},
    reason="no C compiler, or no AVX2",
)
def test_where_there_is_a_compiler_the_kernels_are_there() -> None:
    assert [one.level for one in levels()] == {"AVX2": ["avx2"], "AVX512": ["avx512", "avx2"]}[
        torch.backends.cpu.get_cpu_capability()
    ]


def test_every_header_is_known_to_the_build() -> None:
    # A header that the build does not know of changes, and nothing is built anew.
    folder = Path("workers/runtime/packed/native")
    sources = Path("pyproject.toml").read_text("utf-8")
    assert [file.name for file in folder.glob("*.[ch]") if f'"{file.as_posix()}"' not in sources] == []
