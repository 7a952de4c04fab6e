"""Checkpoints small enough for a test: real architectures, random weights, a tokenizer of a few words."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordLevel
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    PreTrainedConfig,
)

from tests.workers.split_files import NLI

WORDS = [f"w{number}" for number in range(40)]
_SPECIAL = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
_SIZE = len(_SPECIAL) + len(WORDS)


def tiny_config(architecture: str) -> PreTrainedConfig:
    if architecture == "bert":
        return BertConfig(
            vocab_size=_SIZE,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=48,
            max_position_embeddings=64,
        )
    if architecture == "distilbert":
        return DistilBertConfig(
            vocab_size=_SIZE, dim=32, hidden_dim=48, n_layers=2, n_heads=2, max_position_embeddings=64
        )
    options: dict[str, Any] = {
        "relative_attention": True,
        "position_buckets": 16,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": False,
        "type_vocab_size": 0,
        "pooler_hidden_size": 32,
    }
    return DebertaV2Config(
        vocab_size=_SIZE,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=64,
        **options,
    )


def write_checkpoint(
    folder: Path, *, architecture: str = "deberta-v2", labels: Sequence[str] = NLI, seed: int = 0
) -> Path:
    """A classifier with random weights whose logits have, over random texts, mean 0 and deviation 1."""
    config = tiny_config(architecture)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: index for index, label in enumerate(labels)}
    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_config(config).eval()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(5)
        texts = torch.randint(len(_SPECIAL), _SIZE, (64, 12))
        texts[:, 0] = _SPECIAL.index("[CLS]")
        logits = model(input_ids=texts).logits
        # Else one label would win everywhere, and no test of answers would mean anything.
        model.classifier.weight.div_(logits.std(dim=0)[:, None])
        model.classifier.bias.copy_(-logits.mean(dim=0) / logits.std(dim=0))
    model.save_pretrained(folder)
    write_tokenizer(folder)
    return folder


def write_tokenizer(folder: Path) -> None:
    tokenizer = _tokenizer(WORDS)
    # As some published files have it: the runtime must turn both off.
    tokenizer.enable_padding(length=24)
    tokenizer.enable_truncation(8)
    tokenizer.save(str(folder / "tokenizer.json"))


def _tokenizer(words: Sequence[str]) -> Tokenizer:
    known = {word: number for number, word in enumerate([*_SPECIAL, *words])}
    tokenizer = Tokenizer(WordLevel(known, unk_token="[UNK]"))  # noqa: S106 - a token of text
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
    )
    return tokenizer


def know_words(folder: Path, texts: list[str]) -> None:
    """The tokenizer of a tiny checkpoint, with the most frequent words of real texts as its words."""
    frequent = [word for word, _ in Counter(" ".join(texts).lower().split()).most_common(len(WORDS))]
    _tokenizer(frequent).save(str(folder / "tokenizer.json"))


def level_logits(folder: Path, texts: list[str], pairs: list[str] | None) -> None:
    """Move the logits of a tiny checkpoint to a mean of 0 over these texts, or one label would win everywhere."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(64)
    encoded = tokenizer.encode_batch(texts if pairs is None else list(zip(texts, pairs, strict=True)))
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    with torch.no_grad():
        ids = [torch.tensor([one.ids]) for one in encoded]
        types = [torch.tensor([one.type_ids]) for one in encoded]
        rows = [model(input_ids=one, token_type_ids=two).logits[0] for one, two in zip(ids, types, strict=True)]
        model.classifier.bias.sub_(torch.stack(rows).mean(dim=0))
    model.save_pretrained(folder)


def edit_json(path: Path, **changes: Any) -> None:  # noqa: ANN401 - JSON
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
