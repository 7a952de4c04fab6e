"""Which examples of a split are measured: the whole of it, a label-balanced slice, or a simple random sample."""

from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator


class SliceKind(StrEnum):
    """How the examples are chosen."""

    full = "full"
    balanced = "balanced"
    simple = "simple"


class SliceSpec(BaseModel):
    """The definition of a slice. `size` is what was asked for; a balanced slice holds `labels * (size // labels)`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: SliceKind = SliceKind.full
    size: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0

    @model_validator(mode="after")
    def _size_where_needed(self) -> Self:
        if (self.kind is SliceKind.full) != (self.size is None):
            msg = "size is needed for a balanced or simple slice, and means nothing for the full split"
            raise ValueError(msg)
        return self


class SliceTooLargeError(ValueError):
    """The split, or one of its labels, has fewer examples than the slice asks for."""


def draw_slice(spec: SliceSpec, labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """Draw the rows of the split to measure: ascending row numbers, int64 [n], the same for the same seed and labels.

    `labels` are the gold labels of the whole split, integers [N]. Sampling is without replacement, with numpy's PCG64.
    A balanced slice draws `size // number of labels` from each label.
    Raises SliceTooLargeError where the split cannot fill the slice.
    """
    total = len(labels)
    if spec.kind is SliceKind.full:
        return np.arange(total, dtype=np.int64)
    if spec.size is None:
        raise AssertionError
    generator = np.random.Generator(np.random.PCG64(spec.seed))
    if spec.kind is SliceKind.simple:
        if spec.size > total:
            msg = f"a simple slice of {spec.size} asks for more than the {total} examples of the split"
            raise SliceTooLargeError(msg)
        return np.sort(generator.choice(total, size=spec.size, replace=False)).astype(np.int64)
    present = np.unique(labels)
    each = spec.size // len(present)
    strata = [np.flatnonzero(labels == label) for label in present]
    if each == 0 or any(len(stratum) < each for stratum in strata):
        smallest = min(len(stratum) for stratum in strata)
        msg = f"a balanced slice of {spec.size} asks for {each} of each label; the rarest label has {smallest}"
        raise SliceTooLargeError(msg)
    drawn = [generator.choice(stratum, size=each, replace=False) for stratum in strata]
    return np.sort(np.concatenate(drawn)).astype(np.int64)


def indices_fingerprint(indices: NDArray[np.int64]) -> str:
    """SHA-256 (hex) of the row numbers as little-endian int64, in ascending order."""
    return sha256(np.sort(indices).astype("<i8").tobytes()).hexdigest()
