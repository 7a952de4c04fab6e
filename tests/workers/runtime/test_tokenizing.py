from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, normalizers

from app.protocol.errors import DriverError
from tests.workers.tiny_checkpoints import WORDS, edit_json
from workers.runtime.backend import TokenizedExample
from workers.runtime.digests import file_sha256
from workers.runtime.recent import Recent
from workers.runtime.tokenizing import Tokenized, load_tokenizer, require_vocabulary

pytestmark = pytest.mark.worker

_CLS, _SEP, _FIRST = 1, 2, 4


def test_pairs_have_types_and_no_padding_whatever_the_file_says(deberta: Path) -> None:
    tokenizer = load_tokenizer([deberta], max_length=128, pinned=None)
    tokenized = tokenizer.encode(["w0 W1", "w2"], ["w3", "w4 w5 w6"])
    assert [example.input_ids.tolist() for example in tokenized.examples] == [
        [_CLS, _FIRST, _FIRST + 1, _SEP, _FIRST + 3, _SEP],
        [_CLS, _FIRST + 2, _SEP, _FIRST + 4, _FIRST + 5, _FIRST + 6, _SEP],
    ]
    assert tokenized.examples[0].token_type_ids.tolist() == [0, 0, 0, 0, 1, 1]
    assert tokenized.truncated == 0
    assert tokenizer.facts.reader == "tokenizer.json"
    assert tokenizer.facts.sha256 == file_sha256(deberta / "tokenizer.json")


def test_single_texts(deberta: Path) -> None:
    tokenized = load_tokenizer([deberta], max_length=128, pinned=None).encode(["w0"], None)
    assert tokenized.examples[0].input_ids.tolist() == [_CLS, _FIRST, _SEP]


def test_the_longest_text_is_cut_first_and_it_is_counted(deberta: Path) -> None:
    tokenizer = load_tokenizer([deberta], max_length=9, pinned=None)
    tokenized = tokenizer.encode([" ".join(WORDS[:20]), "w1", "w1 w2 w3"], ["w9 w8", "w2", "w4 w5 w6"])
    assert tokenized.truncated == 1
    assert [len(example) for example in tokenized.examples] == [9, 5, 9]
    assert tokenized.examples[0].input_ids.tolist()[-3:] == [_FIRST + 9, _FIRST + 8, _SEP]


def test_the_checkpoint_says_which_end_is_cut(copied: Path) -> None:
    (copied / "tokenizer_config.json").write_text("{}")
    edit_json(copied / "tokenizer_config.json", truncation_side="left")
    tokenized = load_tokenizer([copied], max_length=8, pinned=None).encode([" ".join(WORDS[:20])], None)
    assert tokenized.examples[0].input_ids.tolist()[1:-1] == [_FIRST + number for number in range(14, 20)]


def test_the_normaliser_of_the_file_is_used(copied: Path) -> None:
    raw = Tokenizer.from_file(str(copied / "tokenizer.json"))
    raw.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    raw.save(str(copied / "tokenizer.json"))
    tokenized = load_tokenizer([copied], max_length=8, pinned=None).encode(["\uff37\uff11\u00a0w2"], None)  # full width
    assert tokenized.examples[0].input_ids.tolist() == [_CLS, _FIRST + 1, _FIRST + 2, _SEP]


def test_an_adapter_without_tokenizer_uses_its_bases(deberta: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer([tmp_path, deberta], max_length=8, pinned=file_sha256(deberta / "tokenizer.json"))
    assert tokenizer.facts.file == "tokenizer.json"


def test_a_vocabulary_alone_is_read_by_auto_tokenizer_and_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    tokenizer = load_tokenizer([tmp_path], max_length=16, pinned=None)
    assert (tokenizer.facts.reader, tokenizer.facts.file) == ("AutoTokenizer", "vocab.txt")
    assert tokenizer.encode(["W0"], ["w1"]).examples[0].input_ids.tolist() == [2, 5, 3, 6, 3]


def test_what_cannot_be_used(copied: Path, tmp_path: Path) -> None:
    with pytest.raises(DriverError) as caught:
        load_tokenizer([copied], max_length=8, pinned="3" * 64)
    assert caught.value.code == "checkpoint_digest_mismatch"
    (copied / "tokenizer.json").write_text("{}")
    with pytest.raises(DriverError) as caught:
        load_tokenizer([copied], max_length=8, pinned=None)
    assert caught.value.code == "tokenizer_corrupt"
    with pytest.raises(DriverError) as caught:
        load_tokenizer([tmp_path], max_length=8, pinned=None)
    assert caught.value.code == "tokenizer_missing"


def test_a_tokenizer_of_another_model(deberta: Path) -> None:
    tokenized = load_tokenizer([deberta], max_length=8, pinned=None).encode(["w39"], None)
    require_vocabulary(tokenized, 44)
    with pytest.raises(DriverError) as caught:
        require_vocabulary(tokenized, 43)
    assert caught.value.code == "tokenizer_mismatch"


def test_the_last_slices_keep_their_tokens_within_bounds() -> None:
    kept: Recent[Tokenized] = Recent(100, lambda tokenized: sum(map(len, tokenized.examples)))
    made = []

    def slice_of(name: str, tokens: int) -> Tokenized:
        def encode() -> Tokenized:
            made.append(name)
            ids = np.zeros(tokens, dtype=np.int32)
            return Tokenized([TokenizedExample(ids, ids)], 0)

        return kept.get(name, encode)

    first = slice_of("a", 40)
    assert slice_of("a", 40) is first
    slice_of("b", 40)
    assert slice_of("a", 40) is first
    slice_of("c", 40)  # 120 tokens: `b` was used longest ago
    assert slice_of("a", 40) is first
    slice_of("b", 40)
    slice_of("large", 500)
    assert made == ["a", "b", "c", "b", "large"]
