"""Weights that a model reads only when it needs them, and the memory that they pass through."""

from collections.abc import Sequence
from threading import Lock, local
from typing import NamedTuple, Protocol

import numpy as np
import torch

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
    """A table of embeddings whose rows are read when they are first asked for: most texts use few of the tokens."""

    def __init__(self, stored: Stored) -> None:
        self.shape, self.dtype = stored.shape, stored.dtype
        self._stored = stored
        self._there = np.zeros(stored.shape[0], dtype=np.bool_)
        # Untouched pages of it take no memory.
        self.table = torch.empty(stored.shape)
        self._lock = Lock()

    def read(self, out: torch.Tensor | None = None) -> torch.Tensor:
        """The whole table, as Numbers has it."""
        return self._stored.read(out)

    def fill(self, ids: torch.Tensor) -> None:
        """Have the rows of these ids (int64 [M], on the CPU) in the table."""
        asked = ids.numpy()
        with self._lock:
            missing = np.unique(asked[~self._there[asked]])
            if len(missing):
                self.table[torch.from_numpy(missing)] = self._stored.read_rows(missing.tolist())
                self._there[missing] = True


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
