"""Check a safetensors file's header before anything maps it: bounded, well formed, and true to the file's size."""

import json
from math import prod
from pathlib import Path
from typing import Final

MAX_HEADER_BYTES: Final = 16 << 20
"""The largest checkpoints need about one megabyte; the format itself allows a hundred."""
_LENGTH_BYTES: Final = 8
_BITS: Final = {
    "F64": 64, "I64": 64, "U64": 64, "F32": 32, "I32": 32, "U32": 32, "F16": 16, "BF16": 16, "I16": 16, "U16": 16,
    "I8": 8, "U8": 8, "BOOL": 8,
}  # fmt: skip


def count_elements(path: Path) -> int:
    """How many numbers a checked file holds, whatever their type."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
        header = json.loads(stream.read(length).decode("utf-8"))
    return sum(prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")


def check_header(path: Path) -> int:
    """The number of tensors in the file. Raises ValueError, saying what is wrong."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
        if size < _LENGTH_BYTES or length > min(MAX_HEADER_BYTES, size - _LENGTH_BYTES):
            msg = f"its header claims {length} bytes in a file of {size}"
            raise ValueError(msg)
        header = json.loads(stream.read(length).decode("utf-8"))
    if not isinstance(header, dict):
        msg = "its header is not a JSON object"
        raise ValueError(msg)  # noqa: TRY004 - the file is wrong, not the caller's types
    spans = sorted(_span(name, entry) for name, entry in header.items() if name != "__metadata__")
    ends = 0
    for begin, end in spans:
        if begin != ends:
            msg = "its tensors overlap or leave gaps"
            raise ValueError(msg)
        ends = end
    if ends != size - _LENGTH_BYTES - length:
        msg = f"its tensors need {ends} bytes; it holds {size - _LENGTH_BYTES - length}"
        raise ValueError(msg)
    return len(spans)


def _span(name: str, entry: object) -> tuple[int, int]:
    try:
        bits = _BITS[entry["dtype"]]  # type: ignore[index]
        begin, end = entry["data_offsets"]  # type: ignore[index]
        numbers = [int(extent) for extent in entry["shape"]]  # type: ignore[index]
    except (KeyError, TypeError, ValueError) as error:
        msg = f"the entry of tensor {name[:100]} is malformed"
        raise ValueError(msg) from error
    if min([*numbers, begin], default=0) < 0 or (end - begin) * 8 != prod(numbers) * bits:
        msg = f"tensor {name[:100]} does not have the size of its shape"
        raise ValueError(msg)
    return begin, end
