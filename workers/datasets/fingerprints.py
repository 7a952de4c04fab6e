"""The content digest of a split: the same rows give the same digest, whichever file format carried them.

SHA-256 over a byte string in which every part states its own length, so that no two different splits share one:

    string(s)  = u64(number of bytes) + s in UTF-8, as it is (no Unicode normalisation, blanks kept)
    u64(n)     = n as 8 bytes, little-endian
    split      = string("paper-verdicts/split/1")
                 u64(number of label names), string(name) each, in the order of the class indices
                 u64(1 if the examples are pairs, else 0)
                 u64(number of examples), then for each, in file order:
                     string(id) string(text) [string(second text)] u64(class index)

Groups are not part of it: they say how results are broken down, not what was measured.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import repeat
from typing import Final

import numpy as np
from numpy.typing import NDArray

_VERSION: Final = "paper-verdicts/split/1"


def content_fingerprint(
    ids: Sequence[str],
    texts: Sequence[str],
    text_pairs: Sequence[str] | None,
    labels: NDArray[np.integer],
    label_names: Sequence[str],
) -> str:
    """SHA-256 (hex) of the content, encoded as the module says. Raises UnicodeEncodeError for a lone surrogate."""
    digest = sha256()
    for part in _parts(ids, texts, text_pairs, labels, label_names):
        digest.update(part)
    return digest.hexdigest()


def _parts(
    ids: Sequence[str],
    texts: Sequence[str],
    text_pairs: Sequence[str] | None,
    labels: NDArray[np.integer],
    label_names: Sequence[str],
) -> Iterator[bytes]:
    yield _string(_VERSION)
    yield _u64(len(label_names))
    yield from map(_string, label_names)
    yield _u64(int(text_pairs is not None))
    yield _u64(len(ids))
    seconds: Sequence[str] | repeat[None] = repeat(None, len(ids)) if text_pairs is None else text_pairs
    for identity, text, second, label in zip(ids, texts, seconds, labels.tolist(), strict=False):
        pair = b"" if second is None else _string(second)
        yield _string(identity) + _string(text) + pair + _u64(label)


def _string(text: str) -> bytes:
    encoded = text.encode()
    return _u64(len(encoded)) + encoded


def _u64(number: int) -> bytes:
    return number.to_bytes(8, "little")
