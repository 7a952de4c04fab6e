"""The door to the packed forward: a model in, a backend out, or None where transformers must do it."""

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from workers.runtime.backend import TokenizedExample
from workers.runtime.packed.bare import BareModel
from workers.runtime.packed.build import PackedModel, build
from workers.runtime.packed.keeper import Keeper, Weights
from workers.runtime.packed.layout import blocks, pack
from workers.runtime.packed.support import supported

_SCORES: Final = {"cpu": 1 << 26, "cuda": 1 << 28}
"""Attention scores that are held at once, in all heads: 256 MiB in float32 on a CPU, 1 GiB on a GPU."""
_ROW_STEP: Final = 16
"""In bfloat16 oneDNN compiles its products for each number of rows, for 11 ms, where a batch of xsmall takes 230. With
multiples of sixteen it took 3 % less, base nothing less (docs/decisions/0041). In float32 it would gain nothing."""


def packed_backend(
    model: Any,  # noqa: ANN401 - a BareModel, or any of transformers' models
    *,
    device: torch.device,
    dtype: torch.dtype,
    spend: bool = True,
    weights: Weights = Weights.fast,
    longest: int | None = None,
) -> "PackedBackend | None":
    """The packed form of `model` on `device` in `dtype`; None, the model untouched, where it is not reproduced exactly.

    Otherwise the model is spent, unless `spend` is false: its weights become the backend's, and are freed where they
    are laid out anew. No example may have more tokens than `longest`. The logits are those of transformers' forward in
    evaluation mode, one example at a time, within 1e-4 in float32, and the same bits whenever the same examples come in
    the same order.
    """
    if not (isinstance(model, BareModel) or supported(model)):
        return None
    config = model.config
    stored = model.stored if isinstance(model, BareModel) else {}
    built = build(model, Keeper(device, dtype, stored, weights, longest), spend=spend)
    step = _ROW_STEP if device.type == "cpu" and dtype is torch.bfloat16 else 1
    return PackedBackend(built, device, config.num_attention_heads, config.num_labels, step)


@dataclass(frozen=True, slots=True)
class PackedBackend:
    """A classifier over packed rows."""

    model: PackedModel
    device: torch.device
    head_count: int
    label_count: int
    row_step: int = 1
    """What the number of rows is filled up to a multiple of."""

    @torch.inference_mode()
    def logits(self, batch: Sequence[TokenizedExample]) -> NDArray[np.float32]:
        """The logits of each example, float32 [B, C], in the order of `batch`.

        Raises ValueError for an example without tokens, or longer than the model has positions for.
        """
        lengths = np.array([len(example) for example in batch], dtype=np.int64)
        if not lengths.all():
            msg = "an example without tokens has no logits"
            raise ValueError(msg)
        order = np.argsort(lengths, kind="stable")
        budget = _SCORES[self.device.type] // (4 * self.head_count)
        parts = [
            self._forward([batch[index] for index in order[block]]) for block in blocks(lengths[order].tolist(), budget)
        ]
        result = np.empty((len(batch), self.label_count), dtype=np.float32)
        if parts:
            # Only now: a GPU works at one part while the next is laid out.
            result[order] = torch.cat(parts).float().cpu().numpy()
        return result

    def _forward(self, examples: list[TokenizedExample]) -> torch.Tensor:
        """The logits of examples that come sorted by length: [B, C]."""
        missing = -sum(map(len, examples)) % self.row_step
        if missing:
            place = bisect(examples, missing, key=len)
            examples.insert(place, _filler(missing, examples[0]))
            found = self._forward(examples)
            return torch.cat([found[:place], found[place + 1 :]])
        packed = pack(examples, self.model.positions, self.device)
        x = self.model.embeddings(packed)
        for layer in self.model.layers:
            x = layer(x, packed)
        first = self.model.last(x, packed)
        logits: torch.Tensor = self.model.head(first[:, None])
        return logits


def _filler(tokens: int, like: TokenizedExample) -> TokenizedExample:
    """An example of nothing: a token of another, again and again."""
    ids = np.full(tokens, like.input_ids[0], dtype=like.input_ids.dtype)
    return TokenizedExample(ids, np.zeros_like(like.token_type_ids, shape=tokens))
