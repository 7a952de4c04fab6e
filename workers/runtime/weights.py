"""Read the weights of checked safetensors files: each number once, from the page cache straight into its float32.

Not by a memory map: mapped pages stay resident until the last tensor of a file is gone, beside the copies that are laid
out for the processor, and the peak would be twice the weights. Read tensor by tensor, each is freed as it is laid out.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

import torch

_LENGTH_BYTES: Final = 8
_TYPES: Final = {"F32": torch.float32, "F16": torch.float16, "F64": torch.float64, "BF16": torch.bfloat16}


def read_float32(paths: Iterable[Path]) -> dict[str, torch.Tensor] | None:
    """All tensors of the files, in float32, by name; None where one is of a type that is no float."""
    tensors: dict[str, torch.Tensor] = {}
    for path in paths:
        with path.open("rb", buffering=0) as stream:
            length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
            header = json.loads(_exactly(stream, length))
            entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
            if any(entry["dtype"] not in _TYPES for entry in entries.values()):
                return None
            # In the order of the file, so that it is read once from its beginning to its end.
            for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"]):
                tensors[name] = _read(stream, entry)
    return tensors


def read_into(model: torch.nn.Module, paths: Sequence[Path]) -> bool:
    """Make the files' tensors the weights of `model`, in float32, where they are exactly its own, by name and shape.

    Nothing is read, and False returned, where they are not.
    """
    own = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    tensors = read_float32(paths) if own == shapes_in(paths) else None
    if tensors is None:
        return False
    model.load_state_dict(tensors, assign=True)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return True


def shapes_in(paths: Iterable[Path]) -> dict[str, list[int]]:
    """The shapes of all tensors of the files, by name."""
    shapes: dict[str, list[int]] = {}
    for path in paths:
        with path.open("rb", buffering=0) as stream:
            header = json.loads(_exactly(stream, int.from_bytes(stream.read(_LENGTH_BYTES), "little")))
            shapes |= {name: entry["shape"] for name, entry in header.items() if name != "__metadata__"}
    return shapes


def _read(stream: BinaryIO, entry: dict[str, Any]) -> torch.Tensor:
    # Memory of torch's, which is aligned: results depend on alignment in their last bits.
    tensor = torch.empty(entry["shape"], dtype=_TYPES[entry["dtype"]])
    left = tensor.view(-1).view(torch.uint8).numpy().data if tensor.numel() else memoryview(b"")
    while left:
        count = stream.readinto(left)  # type: ignore[attr-defined]
        if not count:
            msg = "the file of weights is shorter than its header says"
            raise ValueError(msg)
        left = left[count:]
    return tensor.float()


def _exactly(stream: BinaryIO, length: int) -> bytes:
    parts = []
    while length:
        part = stream.read(length)
        if not part:
            msg = "the file of weights ends within its header"
            raise ValueError(msg)
        parts.append(part)
        length -= len(part)
    return b"".join(parts)
