"""Turn texts into token ids with the checkpoint's own tokenizer.json: no padding, truncation counted.

The file is read directly because AutoTokenizer in transformers 5 rebuilds some tokenizers without their normaliser
(DeBERTa-v2's, for one) and so moves published numbers silently.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from tokenizers import Encoding, Tokenizer

from app.protocol.errors import DriverError
from workers.runtime.backend import TokenizedExample
from workers.runtime.digests import file_sha256
from workers.runtime.recent import Recent

_FILES: Final = ("vocab.txt", "vocab.json", "merges.txt", "spm.model", "sentencepiece.bpe.model", "tokenizer.model")
_AT_ONCE: Final = 2048


@dataclass(frozen=True, slots=True)
class TokenizerFacts:
    """Which tokenizer ran; `reader` is `tokenizer.json`, or `AutoTokenizer` where the checkpoint has no such file."""

    reader: Literal["tokenizer.json", "AutoTokenizer"]
    file: str
    sha256: str
    max_length: int


@dataclass(frozen=True, slots=True)
class Tokenized:
    """The examples in the order they were given, and how many of them were cut at the length limit."""

    examples: list[TokenizedExample]
    truncated: int


def _tokens_in(tokenized: Tokenized) -> int:
    return sum(map(len, tokenized.examples))


tokenized_slices: Final = Recent(4_000_000, _tokens_in)
"""The last slices that were tokenised, so many tokens together."""


class PairTokenizer:
    """The tokenizer of one checkpoint at one length limit."""

    def __init__(self, tokenizer: Tokenizer, facts: TokenizerFacts) -> None:
        self._tokenizer = tokenizer
        self.facts = facts

    def encode(self, texts: Sequence[str], text_pairs: Sequence[str] | None) -> Tokenized:
        """Encode texts, or pairs of them (`token_type_ids` tell the two apart where the tokenizer does)."""
        inputs: list[Any] = list(texts) if text_pairs is None else list(zip(texts, text_pairs, strict=True))
        examples, truncated = [], 0
        for start in range(0, len(inputs), _AT_ONCE):
            for encoding in self._tokenizer.encode_batch_fast(inputs[start : start + _AT_ONCE]):
                truncated += bool(encoding.overflowing)
                examples.append(_example(encoding))
        return Tokenized(examples, truncated)


def load_tokenizer(folders: Sequence[Path], *, max_length: int, pinned: str | None) -> PairTokenizer:
    """The tokenizer of the first folder that has one (an adapter's before its base's), truncating longest first.

    Raises DriverError: `tokenizer_missing`, `tokenizer_corrupt`, `checkpoint_digest_mismatch`.
    """
    folder = next((folder for folder in folders if (folder / "tokenizer.json").is_file()), None)
    reader: Literal["tokenizer.json", "AutoTokenizer"] = "tokenizer.json" if folder else "AutoTokenizer"
    folder, file = (folder, "tokenizer.json") if folder else _other_file(folders)
    digest = file_sha256(folder / file)
    if pinned is not None and digest != pinned:
        raise DriverError(
            code="checkpoint_digest_mismatch",
            message=f"{file} is not the file the driver pins: found {digest}, pinned {pinned}.",
        )
    try:
        tokenizer = Tokenizer.from_file(str(folder / file)) if reader == "tokenizer.json" else _rebuild(folder)
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_length, strategy="longest_first", direction=_truncation_side(folder))
    except Exception as error:  # tokenizers raises plain Exception
        raise DriverError(code="tokenizer_corrupt", message=f"{file} of the checkpoint cannot be used.") from error
    return PairTokenizer(tokenizer, TokenizerFacts(reader, file, digest, max_length))


def _other_file(folders: Sequence[Path]) -> tuple[Path, str]:
    for folder in folders:
        for file in _FILES:
            if (folder / file).is_file():
                return folder, file
    raise DriverError(code="tokenizer_missing", message="The checkpoint has no tokenizer.json and no vocabulary file.")


def _rebuild(folder: Path) -> Tokenizer:
    from transformers import AutoTokenizer  # noqa: PLC0415 - seconds of imports, for checkpoints without tokenizer.json

    fast = AutoTokenizer.from_pretrained(folder, use_fast=True, local_files_only=True, trust_remote_code=False)
    tokenizer: Tokenizer = fast.backend_tokenizer
    return tokenizer


def _truncation_side(folder: Path) -> str:
    config = folder / "tokenizer_config.json"
    side = json.loads(config.read_text("utf-8")).get("truncation_side") if config.is_file() else None
    return "left" if side == "left" else "right"


def _example(encoding: Encoding) -> TokenizedExample:
    return TokenizedExample(
        input_ids=np.array(encoding.ids, dtype=np.int32), token_type_ids=np.array(encoding.type_ids, dtype=np.int32)
    )


def require_vocabulary(tokenized: Tokenized, size: int) -> None:
    """Raise DriverError `tokenizer_mismatch` where a token id is beyond the `size` embeddings of the model."""
    highest = max((int(example.input_ids.max(initial=0)) for example in tokenized.examples), default=0)
    if highest >= size:
        raise DriverError(
            code="tokenizer_mismatch",
            message=f"The tokenizer gives the token {highest}; the model knows {size}. They are not of one checkpoint.",
        )
