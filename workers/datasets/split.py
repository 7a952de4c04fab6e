"""A split in memory: what every driver measures on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Split:
    """N examples in file order; `labels` holds indices into `label_names`, int16 [N]."""

    ids: Sequence[str]
    texts: Sequence[str]
    text_pairs: Sequence[str] | None
    labels: NDArray[np.int16]
    label_names: tuple[str, ...]
    groups: Sequence[str] | None
    file_sha256: str
    fingerprint: str

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def label_counts(self) -> tuple[int, ...]:
        """How many examples of the split bear each label, in the order of `label_names`."""
        return tuple(int(count) for count in np.bincount(self.labels, minlength=len(self.label_names)))
