import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from workers.runtime import safetensors_header
from workers.runtime.safetensors_header import check_header

pytestmark = pytest.mark.worker


def _write(path: Path, header: Any, data: bytes) -> Path:  # noqa: ANN401 - JSON, right or wrong
    encoded = json.dumps(header).encode()
    path.write_bytes(len(encoded).to_bytes(8, "little") + encoded + data)
    return path


def _entry(shape: list[int], begin: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_a_whole_file_passes(tmp_path: Path) -> None:
    tensors: dict[str, np.ndarray] = {
        "a": np.zeros((2, 3), np.float32),
        "b": np.zeros(5, np.int64),
        "c": np.zeros((0, 4), np.float16),
    }
    save_file(tensors, tmp_path / "x.safetensors", metadata={"format": "pt"})
    assert check_header(tmp_path / "x.safetensors") == 3


def test_a_truncated_file_is_refused_wherever_it_is_cut(tmp_path: Path) -> None:
    path = _write(tmp_path / "x", {"a": _entry([2], 0, 8)}, b"\0" * 8)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"."):
            check_header(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(ValueError, match="holds 9"):
        check_header(path)


@pytest.mark.parametrize(
    "header",
    [
        [],
        "text",
        {"a": 3},
        {"a": _entry([3], 0, 8)},
        {"a": _entry([-2], 0, 8)},
        {"a": _entry([2], -8, 0)},
        {"a": _entry([2], 0, 8, "PICKLE")},
        {"a": _entry([2], 0, 8) | {"shape": None}},
        {"a": _entry([1], 0, 4), "b": _entry([1], 0, 4)},
        {"a": _entry([1], 4, 8)},
        {},
    ],
)
def test_headers_that_lie_are_refused(tmp_path: Path, header: Any) -> None:  # noqa: ANN401 - JSON
    with pytest.raises(ValueError, match=r"."):
        check_header(_write(tmp_path / "x", header, b"\0" * 8))


def test_a_header_without_bound_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safetensors_header, "MAX_HEADER_BYTES", 10)
    with pytest.raises(ValueError, match="claims"):
        check_header(_write(tmp_path / "x", {"a": _entry([2], 0, 8)}, b"\0" * 8))


TEN_GB = 10 * 2**30


def test_claims_of_ten_gigabytes_are_refused_from_the_header_alone(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(TEN_GB.to_bytes(8, "little") + b"{}")
    with pytest.raises(ValueError, match=f"claims {TEN_GB} bytes"):
        check_header(path)
    with pytest.raises(ValueError, match=f"need {TEN_GB} bytes"):
        check_header(_write(path, {"a": _entry([TEN_GB], 0, TEN_GB, "U8")}, b"\0" * 8))
    with pytest.raises(ValueError, match="size of its shape"):
        check_header(_write(path, {"a": _entry([TEN_GB], 0, 8, "U8")}, b"\0" * 8))
