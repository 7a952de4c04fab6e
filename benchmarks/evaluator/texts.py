"""The pairs of texts: real MNLI pairs, or random words that give the same numbers of tokens."""

from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq
from tokenizers import Tokenizer

from evaluator.shapes import CATALOGUE, ROOT, SPECIAL, VOCABULARY, Shape, base_folder

MAX_LENGTH = 128
_SPECIAL_TOKENS = 3


@dataclass(frozen=True, slots=True)
class Pairs:
    """N pairs and what is known about them."""

    rows: list[int]
    """Their rows in MNLI validation matched."""
    texts: list[tuple[str, str]]
    lengths: list[int]
    """Tokens with special ones, after truncation."""
    golden: np.ndarray | None
    """Reference logits of the shipped adapter, float32 [N, 3]."""


def sample_pairs(shape: Shape, count: int, seed: int) -> Pairs:
    """A random sample of MNLI validation matched, in random order; all of it where `count` is as large."""
    table = pq.read_table(CATALOGUE / "data" / "mnli_validation_matched.parquet")
    generator = np.random.default_rng(seed)
    rows = generator.permutation(len(table))[:count].tolist()
    taken = table.take(rows).to_pydict()
    tokenizer = Tokenizer.from_file(str(base_folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_LENGTH, strategy="longest_first")
    texts = list(zip(taken["premise"], taken["hypothesis"], strict=True))
    encodings = tokenizer.encode_batch(texts)
    lengths = [len(encoding.ids) for encoding in encodings]
    if shape.real:
        path = ROOT / "tests" / "golden" / "reference_logits_matched.parquet"
        golden = np.array(pq.read_table(path).take(rows).to_pydict()["logits"], dtype=np.float32)
        return Pairs(rows, texts, lengths, golden)
    seconds = [sum(encoding.type_ids) - 1 for encoding in encodings]
    counts = [(length - second - _SPECIAL_TOKENS, second) for length, second in zip(lengths, seconds, strict=True)]
    return Pairs(rows, [(_words(one, generator), _words(two, generator)) for one, two in counts], lengths, None)


def _words(count: int, generator: np.random.Generator) -> str:
    return " ".join(f"w{number}" for number in generator.integers(len(SPECIAL), VOCABULARY, count))
