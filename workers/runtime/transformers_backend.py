"""The back end for any architecture: the model as transformers runs it, padded to the longest of the batch."""

from collections.abc import Sequence
from inspect import signature
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from workers.runtime.backend import TokenizedExample


class TransformersBackend:
    """A sequence-classification model on one device in one dtype."""

    def __init__(self, model: Any, *, device: torch.device, dtype: torch.dtype) -> None:  # noqa: ANN401 - untyped
        """Take the model over: it is moved to the device and into the dtype."""
        self._model = model.to(device=device, dtype=dtype).eval()
        self._device = device
        self._padding = getattr(model.config, "pad_token_id", None) or 0
        # A single token type is the same as none; some tokenizers mark the second text all the same.
        types = getattr(model.config, "type_vocab_size", 0) or 0
        self._takes_types = types > 1 and "token_type_ids" in signature(model.forward).parameters

    def logits(self, batch: Sequence[TokenizedExample]) -> NDArray[np.float32]:
        """The logits of each example, float32 [B, C], in the checkpoint's own label order."""
        longest = max(len(example) for example in batch)
        ids = np.full((len(batch), longest), self._padding, dtype=np.int64)
        types = np.zeros_like(ids)
        mask = np.zeros_like(ids)
        for row, example in enumerate(batch):
            ids[row, : len(example)] = example.input_ids
            types[row, : len(example)] = example.token_type_ids
            mask[row, : len(example)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask} | ({"token_type_ids": types} if self._takes_types else {})
        with torch.inference_mode():
            output = self._model(**{name: torch.from_numpy(array).to(self._device) for name, array in inputs.items()})
            logits: NDArray[np.float32] = output.logits.float().cpu().numpy()
        return logits
