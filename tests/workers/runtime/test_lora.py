"""Plain LoRA adapters merged without peft: peft's own weights, bit for bit, and whatever is not plain left to it."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification

from app.protocol.driver import AdapterModel, FolderSource
from tests.workers.tiny_checkpoints import write_checkpoint
from workers.runtime.checkpoint import inspect_checkpoint
from workers.runtime.classifier import check_model
from workers.runtime.loading import load_adapted
from workers.runtime.lora import merged_weights
from workers.runtime.packed.bare import bare_model
from workers.runtime.packed.numbers import Numbers
from workers.runtime.weights import stored_in

pytestmark = [pytest.mark.worker, pytest.mark.filterwarnings("ignore")]  # peft's own advice while it builds adapters

_PLAIN: dict[str, Any] = {"r": 4, "lora_alpha": 12, "target_modules": ["query", "output.dense"]}
_WHOLE = {"modules_to_save": ["pooler", "classifier"]}


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("bert"), architecture="bert")


def _adapter(base: Path, folder: Path, **options: Any) -> Path:  # noqa: ANN401 - peft's options
    model = AutoModelForSequenceClassification.from_pretrained(base, dtype=torch.float32)
    adapted = get_peft_model(model, LoraConfig(**(_PLAIN | options)))
    torch.manual_seed(1)
    for name, parameter in adapted.named_parameters():
        if "lora_" in name or "modules_to_save" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    adapted.save_pretrained(str(folder))
    shutil.copy(base / "config.json", folder)
    return folder


def _merged(base: Path, folder: Path, **changes: Any) -> Mapping[str, Numbers] | None:  # noqa: ANN401 - JSON
    settings = json.loads((folder / "adapter_config.json").read_text()) | changes
    model = bare_model(json.loads((folder / "config.json").read_text()), 3)
    assert model is not None
    below, own = (stored_in([path]) for path in (base / "model.safetensors", folder / "adapter_model.safetensors"))
    weights = merged_weights(model, settings, below, own)
    assert weights is None or model.adopt(weights)
    return weights


def _peft(base: Path, folder: Path) -> dict[str, torch.Tensor]:
    spec = AdapterModel(
        kind="peft-adapter", source=FolderSource(path=str(folder)), base=FolderSource(path=str(base)), max_length=32
    )
    checked = check_model(spec, root=folder, cache=folder)
    assert checked.base is not None
    weights: dict[str, torch.Tensor] = load_adapted(checked.base, checked.own)[0].state_dict()
    return weights


@pytest.mark.parametrize(
    "options",
    [
        {},
        _WHOLE,
        {"task_type": "SEQ_CLS"},
        {"task_type": "SEQ_CLS", "modules_to_save": ["pooler"], "init_lora_weights": "gaussian", "lora_dropout": 0.1},
        {"use_rslora": True, "lora_alpha": 7.5, "r": 3},
        {"target_modules": ["bert.encoder.layer.1.attention.self.value"], "r": 1},
    ],
)
def test_the_weights_are_those_that_peft_merges(bert: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    folder = _adapter(bert, tmp_path, **options)
    ours, theirs = _merged(bert, folder), _peft(bert, folder)
    assert ours is not None
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name].read(), tensor) for name, tensor in theirs.items())
    room = torch.empty(theirs["bert.encoder.layer.1.output.dense.weight"].shape)
    ours["bert.encoder.layer.1.output.dense.weight"].read(room)
    assert torch.equal(room, theirs["bert.encoder.layer.1.output.dense.weight"])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_base_without_a_head_and_in_half_precision(bert: Path, tmp_path: Path, dtype: torch.dtype) -> None:
    folder = _adapter(bert, tmp_path / "adapter", **_WHOLE)
    base = Path(shutil.copytree(bert, tmp_path / "base"))
    whole = load_file(bert / "model.safetensors")
    headless = {name.removeprefix("bert."): one.to(dtype) for name, one in whole.items() if "classifier" not in name}
    positions = {"embeddings.position_ids": torch.arange(64)[None]}
    save_file(headless | positions, base / "model.safetensors", {"format": "pt"})
    ours, theirs = _merged(base, folder), _peft(base, folder)
    assert ours is not None
    assert all(torch.equal(ours[name].read(), tensor) for name, tensor in theirs.items())


@pytest.mark.parametrize(
    "changes",
    [
        {"use_dora": True},
        {"fan_in_fan_out": True},
        {"bias": "all"},
        {"rank_pattern": {"query": 2}},
        {"alpha_pattern": {"query": 2}},
        {"layers_to_transform": [0]},
        {"exclude_modules": ["output.dense"]},
        {"init_lora_weights": "pissa"},
        {"peft_type": "LOHA"},
        {"task_type": "CAUSAL_LM"},
        {"target_modules": "all-linear"},
        {"target_modules": None},
        {"target_modules": ["query", "output.dense", "key"]},
        {"target_modules": ["query", "output.dense", "LayerNorm"]},
        {"target_modules": ["query"]},
        {"modules_to_save": ["classifier"]},
        {"modules_to_save": "classifier"},
        {"r": 5},
        {"r": "4"},
        {"something_new": None},
    ],
)
def test_what_is_not_plain_is_left_to_peft(bert: Path, plain: Path, changes: dict[str, Any]) -> None:
    assert _merged(bert, plain) is not None
    assert _merged(bert, plain, **changes) is None


@pytest.fixture(scope="module")
def plain(bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _adapter(bert, tmp_path_factory.mktemp("plain"))


def test_every_option_of_this_peft_is_known(plain: Path, bert: Path) -> None:
    """One that is not would send every adapter through peft, which is slow and says nothing."""
    settings = json.loads((plain / "adapter_config.json").read_text())
    assert {"use_dora", "velora_config", "r"} <= settings.keys()
    assert _merged(bert, plain) is not None
    assert inspect_checkpoint(plain, weights="adapter_model.safetensors", pinned={}).configs.keys() >= {"config.json"}
