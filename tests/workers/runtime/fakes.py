"""Back ends that fail as real ones do, and a classifier around them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from workers.runtime.backend import Backend, TokenizedExample
from workers.runtime.classifier import Classifier, ModelFacts
from workers.runtime.tokenizing import PairTokenizer


def example(number: int, length: int = 4) -> TokenizedExample:
    ids = np.full(length, number, dtype=np.int32)
    return TokenizedExample(ids, np.zeros_like(ids))


def true_logits(number: int) -> list[float]:
    return [number / 100, 0.0, -number / 100]


@dataclass
class FakeBackend:
    """Logits that follow from the first token, off by `error`; `limit` examples fit in memory; `bad` gives NaN."""

    error: float = 0.0
    limit: int = 1_000
    bad: frozenset[int] = frozenset()
    failure: Exception = field(default_factory=lambda: torch.OutOfMemoryError("CUDA out of memory"))
    sizes: list[int] = field(default_factory=list)

    def logits(self, batch: Sequence[TokenizedExample]) -> NDArray[np.float32]:
        self.sizes.append(len(batch))
        if len(batch) > self.limit:
            raise self.failure
        numbers = [int(one.input_ids[0]) for one in batch]
        rows = [[np.nan] * 3 if number in self.bad else true_logits(number) for number in numbers]
        offsets = [[self.error * (-1) ** number, 0.0, 0.0] for number in numbers]
        return np.array(rows, dtype=np.float32) + np.array(offsets, dtype=np.float32)


def classifier(exact: Backend, quick: Backend | None = None, columns: Sequence[int] = (0, 1, 2)) -> Classifier:
    names = ("a", "b", "c")
    facts = ModelFacts(
        "fake",
        {},
        None,
        "Fake",
        0,
        names,
        "eager",
        adapter_merged=False,
        backend="fake",
        kernels="torch",
        products="plain",
    )
    tokenizer = PairTokenizer.__new__(PairTokenizer)
    return Classifier(tokenizer, np.array(columns), quick or exact, exact, 1_000, facts)
