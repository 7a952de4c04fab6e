import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification

from app.protocol.driver import AdapterModel, ClassifierModel, DType, FolderSource
from app.protocol.errors import DriverError
from tests.workers.split_files import NLI
from tests.workers.tiny_checkpoints import WORDS, edit_json, write_checkpoint
from workers.runtime.classifier import Classifier, check_model, load_classifier
from workers.runtime.predictor import Predictor

pytestmark = pytest.mark.worker

_TEXTS, _PAIRS = (
    [" ".join(WORDS[n : n + 3 + n % 5]) for n in range(20)],
    [" ".join(WORDS[30 - n :][:4]) for n in range(20)],
)


def _classifier(folder: Path, **fields: object) -> Classifier:
    spec = ClassifierModel.model_validate(
        {"kind": "sequence-classification", "source": {"path": str(folder)}, "max_length": 32} | fields
    )
    checked = check_model(spec, root=folder, cache=folder)
    return load_classifier(checked, NLI, device=torch.device("cpu"), dtype=DType.float32)


def _logits(classifier: Classifier) -> np.ndarray:
    return Predictor(classifier).exact_logits(classifier.tokenizer.encode(_TEXTS, _PAIRS).examples)


def _reference(folder: Path) -> np.ndarray:
    """What transformers says, one example at a time."""
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    model = model.eval()
    examples = _classifier(folder).tokenizer.encode(_TEXTS, _PAIRS).examples
    types = {"token_type_ids"} if getattr(model.config, "type_vocab_size", 0) > 1 else set()
    rows = []
    with torch.inference_mode():
        for example in examples:
            inputs = {"input_ids": torch.from_numpy(example.input_ids[None]).long()}
            inputs |= {name: torch.from_numpy(example.token_type_ids[None]).long() for name in types}
            rows.append(model(**inputs).logits[0].numpy())
    return np.stack(rows)


def _code(folder: Path, **fields: object) -> str:
    with pytest.raises(DriverError) as caught:
        _classifier(folder, **fields)
    assert not caught.value.retryable
    return caught.value.code


@pytest.mark.parametrize("architecture", ["deberta-v2", "bert", "distilbert"])
def test_logits_are_those_of_transformers(tmp_path: Path, architecture: str) -> None:
    folder = write_checkpoint(tmp_path, architecture=architecture)
    classifier = _classifier(folder)
    np.testing.assert_allclose(_logits(classifier), _reference(folder), atol=1e-4)
    assert classifier.facts.backend == ("transformers" if architecture == "distilbert" else "packed")
    assert _logits(classifier).std() > 0.05


def test_a_float16_checkpoint_is_computed_in_float32(copied: Path) -> None:
    halves = {name: tensor.half() for name, tensor in load_file(copied / "model.safetensors").items()}
    save_file(halves, copied / "model.safetensors", metadata={"format": "pt"})
    edit_json(copied / "config.json", dtype="float16")
    single = shutil.copytree(copied, copied.parent / "single")
    wide = {name: tensor.float() for name, tensor in halves.items()}
    save_file(wide, single / "model.safetensors", metadata={"format": "pt"})
    np.testing.assert_array_equal(_logits(_classifier(copied)), _logits(_classifier(single)))


def test_labels_are_put_in_the_data_sets_order_by_name(copied: Path) -> None:
    plain = _logits(_classifier(copied))
    edit_json(copied / "config.json", id2label={"0": "Contradiction", "1": "entailment", "2": "NEUTRAL"})
    np.testing.assert_array_equal(_logits(_classifier(copied)), plain[:, [1, 2, 0]])


def test_anonymous_labels_need_the_drivers_word(copied: Path) -> None:
    plain = _logits(_classifier(copied))
    names = {f"LABEL_{index}": name for index, name in enumerate(reversed(NLI))}
    edit_json(copied / "config.json", id2label={str(index): name for index, name in enumerate(names)})
    assert _code(copied) == "label_names_unknown"
    np.testing.assert_array_equal(_logits(_classifier(copied, label_names=names)), plain[:, ::-1])


def test_labels_that_do_not_fit(copied: Path, tmp_path: Path) -> None:
    two = write_checkpoint(tmp_path / "two", labels=("entailment", "neutral"))
    assert _code(two) == "checkpoint_labels_mismatch"
    edit_json(copied / "config.json", id2label={"0": "entailment", "1": "neutral", "3": "contradiction"})
    assert _code(copied) == "checkpoint_labels_mismatch"
    edit_json(copied / "config.json", id2label=None, num_labels=3)
    assert _code(copied) == "label_names_unknown"


def test_a_checkpoint_without_a_classifier_is_not_run_with_a_random_one(copied: Path) -> None:
    weights = load_file(copied / "model.safetensors")
    del weights["classifier.weight"]
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    assert _code(copied) == "checkpoint_incomplete"


def test_other_weights_than_those_pinned(copied: Path) -> None:
    pinned = {"model.safetensors": "0" * 64}
    assert _code(copied, weights_sha256=pinned) == "checkpoint_digest_mismatch"
    weights = load_file(copied / "model.safetensors")
    del weights["classifier.weight"]
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    assert _code(copied, weights_sha256=pinned) == "checkpoint_digest_mismatch"


def test_weights_of_another_shape(copied: Path) -> None:
    edit_json(copied / "config.json", hidden_size=64)
    assert _code(copied) == "checkpoint_unsupported"


@pytest.mark.parametrize("kind", ["no-such-model", "vit_mae", None])
def test_an_architecture_that_cannot_classify(copied: Path, kind: str | None) -> None:
    edit_json(copied / "config.json", model_type=kind)
    assert _code(copied) == "checkpoint_unsupported"


def test_more_tokens_than_the_model_has_positions_for(tmp_path: Path) -> None:
    assert _code(write_checkpoint(tmp_path, architecture="bert"), max_length=65) == "max_length_unsupported"


def _adapter(base: Path, folder: Path) -> AdapterModel:
    """A LoRA adapter with random weights, as peft saves it, with the base's config beside it."""
    model = AutoModelForSequenceClassification.from_pretrained(base, dtype=torch.float32, attn_implementation="eager")
    settings = LoraConfig(r=4, lora_alpha=8, target_modules=["query_proj", "dense"], modules_to_save=["classifier"])
    adapted = get_peft_model(model, settings)
    torch.manual_seed(1)
    for name, parameter in adapted.named_parameters():
        if "lora_" in name or "modules_to_save" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    adapted.eval().save_pretrained(str(folder))
    shutil.copy(base / "config.json", folder)
    with torch.inference_mode():
        examples = _classifier(base).tokenizer.encode(_TEXTS, _PAIRS).examples
        rows = [adapted(input_ids=torch.from_numpy(example.input_ids[None]).long()).logits[0] for example in examples]
    np.save(folder / "expected.npy", torch.stack(rows).numpy())
    source = FolderSource(path=str(folder))
    return AdapterModel(kind="peft-adapter", source=source, base=FolderSource(path=str(base)), max_length=32)


def _load_adapter(spec: AdapterModel) -> Classifier:
    checked = check_model(spec, root=Path(), cache=Path())
    return load_classifier(checked, NLI, device=torch.device("cpu"), dtype=DType.float32)


@pytest.mark.filterwarnings("ignore")  # peft's own advice while the test builds an adapter
def test_an_adapter_is_merged_into_its_base(deberta: Path, tmp_path: Path) -> None:
    spec = _adapter(deberta, tmp_path)
    classifier = _load_adapter(spec)
    np.testing.assert_allclose(_logits(classifier), np.load(tmp_path / "expected.npy"), atol=1e-4)
    assert classifier.facts.adapter_merged
    assert set(classifier.facts.weights_sha256) == {"adapter_model.safetensors"}
    assert set(classifier.facts.base_weights_sha256 or {}) == {"model.safetensors"}
    assert not np.allclose(_logits(classifier), _logits(_classifier(deberta)), atol=0.01)


@pytest.mark.filterwarnings("ignore")  # as above
def test_adapters_that_cannot_be_used(deberta: Path, tmp_path: Path) -> None:
    spec = _adapter(deberta, tmp_path)
    path = tmp_path / "adapter_model.safetensors"
    weights = load_file(path)

    def code() -> str:
        with pytest.raises(DriverError) as caught:
            _load_adapter(spec)
        return caught.value.code

    lora = next(name for name in weights if "lora_A" in name)
    save_file({name: tensor for name, tensor in weights.items() if name != lora}, path)
    assert code() == "checkpoint_incomplete"
    save_file(weights | {lora.replace("encoder", "decoder"): weights[lora].clone()}, path)
    assert code() == "checkpoint_unsupported"
    save_file(weights, path)
    kept = json.loads((tmp_path / "adapter_config.json").read_text())
    for change, expected in (
        ({"peft_type": "PROMPT_TUNING"}, "checkpoint_unsupported"),
        ({"auto_mapping": {"parent_library": "os"}}, "checkpoint_unsafe"),
        ({"megatron_config": {"x": 1}}, "checkpoint_unsafe"),
    ):
        (tmp_path / "adapter_config.json").write_text(json.dumps(kept | change))
        assert code() == expected
    (tmp_path / "adapter_config.json").unlink()
    assert code() == "checkpoint_missing"
