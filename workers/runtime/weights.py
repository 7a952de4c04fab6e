"""The weights of checked safetensors files: each tensor stays in its file until its numbers are laid out.

Not by a memory map: mapped pages stay resident beside what is laid out from them, and a file that is cut while it is
mapped ends the process.
"""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from weakref import finalize

import torch

from app.protocol.errors import DriverError
from workers.runtime.digests import Identity

_LENGTH_BYTES: Final = 8
_TYPES: Final = {"F32": torch.float32, "F16": torch.float16, "F64": torch.float64, "BF16": torch.bfloat16}


class WeightFile:
    """An open file of weights; it is closed when nothing refers to it any more."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        finalize(self, os.close, self._descriptor)
        self.identity = self._now()
        """As `digests.file_identity` gives it."""

    def tensors(self) -> "dict[str, Stored]":
        """All its tensors by name, in the order in which they stand."""
        length = int.from_bytes(self._bytes(_LENGTH_BYTES, 0), "little")
        header = json.loads(self._bytes(length, _LENGTH_BYTES))
        entries = [(name, entry) for name, entry in header.items() if name != "__metadata__"]
        return {
            name: Stored(
                self,
                _TYPES.get(entry["dtype"]),
                tuple(entry["shape"]),
                _LENGTH_BYTES + length + entry["data_offsets"][0],
            )
            for name, entry in sorted(entries, key=lambda item: item[1]["data_offsets"])
        }

    def read(self, into: memoryview, offset: int) -> None:
        """Fill `into` with the bytes from `offset`. Raises ValueError where the file ends before it is full.

        Raises DriverError `checkpoint_changed` where it is not the file that was opened any more.
        """
        if self._now() != self.identity:
            raise changed(self._path)
        while into:
            count = os.preadv(self._descriptor, [into], offset)
            if not count:
                msg = "the file of weights is shorter than its header says"
                raise ValueError(msg)
            into, offset = into[count:], offset + count

    def _bytes(self, count: int, offset: int) -> bytes:
        content = bytearray(count)
        self.read(memoryview(content), offset)
        return bytes(content)

    def _now(self) -> Identity:
        status = os.fstat(self._descriptor)
        return (str(self._path), status.st_ino, status.st_size, status.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class Stored:
    """One tensor of a file."""

    file: WeightFile
    dtype: torch.dtype | None
    """None where it holds no floats."""
    shape: tuple[int, ...]
    offset: int

    def read(self, out: torch.Tensor | None = None) -> torch.Tensor:
        """Its numbers in float32: into `out` (contiguous, of its shape) where that is given."""
        # Memory of torch's, which is aligned: results depend on alignment in their last bits.
        room = out if out is not None and self.dtype is torch.float32 else torch.empty(self.shape, dtype=self.dtype)
        if room.numel():
            self.file.read(_bytes_of(room), self.offset)
        return room.float() if out is None or room is out else out.copy_(room)

    def read_rows(self, rows: Sequence[int]) -> torch.Tensor:
        """Those of some rows of a matrix, float32 [n, width]."""
        room = torch.empty(len(rows), self.shape[1], dtype=self.dtype)
        size = self.shape[1] * room.element_size()
        view = _bytes_of(room)
        for place, row in enumerate(rows):
            self.file.read(view[place * size : (place + 1) * size], self.offset + row * size)
        return room.float()


def stored_in(paths: Iterable[Path], known: Iterable[Identity] | None = None) -> dict[str, Stored]:
    """All tensors of the files, by name; nothing but headers is read.

    Raises DriverError `checkpoint_changed` where a file is none of the `known` ones.
    """
    found: dict[str, Stored] = {}
    for path in paths:
        file = WeightFile(path)
        if known is not None and file.identity not in known:
            raise changed(path)
        found |= file.tensors()
    return found


def read_into(model: torch.nn.Module, paths: Iterable[Path]) -> bool:
    """Make the files' tensors the weights of `model`, in float32, where they are exactly its own, by name and shape.

    Nothing is read, and False returned, where they are not.
    """
    stored = stored_in(paths)
    own = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    if own != {name: one.shape for name, one in stored.items()} or any(one.dtype is None for one in stored.values()):
        return False
    # In the order of the file, so that it is read once from its beginning to its end.
    model.load_state_dict({name: one.read() for name, one in stored.items()}, assign=True)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return True


def changed(path: Path) -> DriverError:
    """What a file that is not the one that was checked is answered with."""
    return DriverError(
        code="checkpoint_changed",
        message=f"{path.name} of the checkpoint was changed while it was in use. Ask for the run again.",
        retryable=True,
    )


def _bytes_of(tensor: torch.Tensor) -> memoryview:
    content: memoryview = tensor.view(-1).view(torch.uint8).numpy().data
    return content
