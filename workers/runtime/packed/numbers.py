"""Weights that a model reads only when it needs them, and the memory that they pass through."""

from collections.abc import Sequence
from threading import Lock, local
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from workers.runtime.weights import Stored


class Numbers(Protocol):
    """A tensor that is somewhere else."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        ...

    @property
    def dtype(self) -> torch.dtype | None:
        """Of what is stored; None where that is no float."""
        ...

    def read(self, out: torch.Tensor | None = None) -> torch.Tensor:
        """Its numbers in float32: into `out` (contiguous, of its shape) where that is given."""
        ...


class Present:
    """A tensor that is here already."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.shape, self.dtype = tuple(tensor.shape), tensor.dtype
        self._tensor = tensor

    def read(self, out: torch.Tensor | None = None) -> torch.Tensor:
        """As Numbers has it; shared with the tensor where nothing changes."""
        return self._tensor.float() if out is None else out.copy_(self._tensor)


class Scaled(NamedTuple):
    """Numbers, and what they are multiplied by."""

    numbers: Numbers
    scale: float


class Rows:
    """A table of embeddings whose rows are read when they are asked for: most texts use few of the tokens.

    The first `most` of them are kept, the others read each time. With the shipped tokenizer MNLI's validation sets have
    12,397 (matched) and 11,098.
    """

    def __init__(self, stored: Stored, most: int = 1 << 14) -> None:
        self.shape, self.dtype = stored.shape, stored.dtype
        self._stored = stored
        self._places = np.full(stored.shape[0], -1, dtype=np.int32)
        # Untouched pages of it take no memory.
        self._kept = torch.empty(min(most, stored.shape[0]), stored.shape[1])
        self._count = 0
        self._lock = Lock()

    def read(self, out: torch.Tensor | None = None) -> torch.Tensor:
        """The whole table, as Numbers has it."""
        return self._stored.read(out)

    def take(self, ids: torch.Tensor) -> torch.Tensor:
        """The rows of these ids (int64 [M], on the CPU): [M, d]."""
        asked, positions = np.unique(ids.numpy(), return_inverse=True)
        rows = torch.empty(len(asked), self.shape[1])
        with self._lock:
            places = self._places[asked]
            known, missing = np.flatnonzero(places >= 0), np.flatnonzero(places < 0)
            rows[torch.from_numpy(known)] = self._kept[torch.from_numpy(places[known])]
            if len(missing):
                found = self._stored.read_rows(asked[missing].tolist())
                rows[torch.from_numpy(missing)] = found
                self._keep(asked[missing], found)
        return rows[torch.from_numpy(positions)]

    def _keep(self, ids: NDArray[np.int64], rows: torch.Tensor) -> None:
        new = min(len(ids), len(self._kept) - self._count)
        self._kept[self._count : self._count + new] = rows[:new]
        self._places[ids[:new]] = np.arange(self._count, self._count + new, dtype=np.int32)
        self._count += new


class _Scratch(local):
    buffer: torch.Tensor | None = None


_scratch = _Scratch()


def scratch(rows: int, columns: int) -> torch.Tensor:
    """Memory for a float32 matrix; the thread's next call gives the same again.

    Fresh memory for each matrix costs more than reading it: the kernel clears every page first.
    """
    buffer = _scratch.buffer
    if buffer is None or buffer.numel() < rows * columns:
        with torch.inference_mode(mode=False):
            buffer = _scratch.buffer = torch.empty(rows * columns)
    return buffer[: rows * columns].view(rows, columns)


def stacked(parts: Sequence[Scaled], room: torch.Tensor) -> torch.Tensor:
    """Some matrices of the same width one upon the other in `room`."""
    places = torch.split(room, [part.numbers.shape[0] for part in parts])
    for part, place in zip(parts, places, strict=True):
        part.numbers.read(place)
        if part.scale != 1:
            place.mul_(part.scale)
    return room
