"""What a runtime runs on: token ids in, logits out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class TokenizedExample:
    """One example as the model reads it: token ids with special tokens, no padding, int32 [L] each."""

    input_ids: NDArray[np.int32]
    token_type_ids: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.input_ids)


class Backend(Protocol):
    """One loaded model on one device in one dtype."""

    def logits(self, batch: Sequence[TokenizedExample]) -> NDArray[np.float32]:
        """The logits of each example, float32 [B, C], in the checkpoint's own label order.

        The result for an example does not depend on the others in the batch beyond float rounding (1e-4).
        """
        ...
