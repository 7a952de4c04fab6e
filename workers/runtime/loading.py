"""Build the model of a checkpoint that was looked over: float32, every weight from the file, nothing left to chance."""

import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch
from accelerate import init_empty_weights
from safetensors.torch import load_file
from transformers import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, AutoConfig, AutoModelForSequenceClassification
from transformers.utils import logging as transformers_logging

from app.protocol.errors import DriverError
from workers.runtime.checkpoint import Checkpoint
from workers.runtime.weights import read_into

_MERGEABLE: Final = "LORA"
_PREFIX: Final = "base_model.model."


def load_model(checkpoint: Checkpoint) -> tuple[Any, str]:
    """The sequence classifier of a checkpoint in float32, in evaluation mode, and its attention implementation.

    Raises DriverError: `checkpoint_unsupported`, `checkpoint_corrupt`, `checkpoint_incomplete` (a weight is missing,
    for example the classifier of a checkpoint that was never fine-tuned: transformers would draw it at random).
    """
    model, attention, missing = _build(checkpoint.folder, checkpoint, checkpoint.weights_sha256)
    if missing:
        raise _incomplete(missing)
    return model.eval(), attention


def load_adapted(base: Checkpoint, adapter: Checkpoint) -> tuple[Any, str]:
    """The base checkpoint with a LoRA adapter merged into it; labels and shape come from the adapter's config.json.

    Merging is exact up to float32 rounding (1.5e-5 in the logits of the shipped adapter) and leaves a plain model,
    which the packed path can take. Raises DriverError as load_model does.
    """
    from peft import PeftConfig, get_peft_model, set_peft_model_state_dict  # noqa: PLC0415 - only adapters need peft

    kind = adapter.configs["adapter_config.json"].get("peft_type")
    if kind != _MERGEABLE:
        raise DriverError(
            code="checkpoint_unsupported", message=f"The adapter is of type {kind}; only {_MERGEABLE} can be merged."
        )
    with _explained():
        weights = load_file(adapter.folder / "adapter_model.safetensors")
    model, attention, missing = _build(base.folder, adapter, base.weights_sha256)
    brought = {name.removeprefix(_PREFIX) for name in weights}
    if missing - brought:
        raise _incomplete(missing - brought)
    with _quiet(), _explained():
        adapted = get_peft_model(model, PeftConfig.from_pretrained(str(adapter.folder)))
        report: Any = set_peft_model_state_dict(adapted, weights)
        merged = adapted.merge_and_unload(safe_merge=False)
    if report.unexpected_keys:
        raise DriverError(
            code="checkpoint_unsupported",
            message=f"The adapter holds weights of modules that the base lacks: {report.unexpected_keys[:3]}.",
        )
    absent = {name for name in report.missing_keys if "lora_" in name or "modules_to_save" in name}
    if absent:
        raise _incomplete(absent)
    return merged.eval(), attention


def _build(weights: Path, settings: Checkpoint, names: Iterable[str]) -> tuple[Any, str, set[str]]:
    with _quiet(), _explained():
        config = AutoConfig.from_pretrained(settings.folder, local_files_only=True, trust_remote_code=False)
        if type(config) not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
            msg = f"transformers has no sequence classifier of the type {config.model_type}"
            raise ValueError(msg)
        known = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING[type(config)]
        attention = "sdpa" if getattr(known, "_supports_sdpa", False) else "eager"
        model = _exact(config, attention, [weights / name for name in names])
        if model is not None:
            return model, attention, set()
        model, report = AutoModelForSequenceClassification.from_pretrained(
            weights,
            config=config,
            # Without it transformers 5 keeps the checkpoint's own dtype, and a float16 checkpoint stays float16.
            dtype=torch.float32,
            attn_implementation=attention,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    return model, attention, set(report["missing_keys"])


def _exact(config: Any, attention: str, files: list[Path]) -> Any | None:  # noqa: ANN401 - untyped library
    """The model with the files' tensors as its weights, where they are exactly the model's own, by name and shape.

    What is not (another prefix, old names, a part that is missing) is left to from_pretrained, which knows how to bring
    it in, and takes several times as long.
    """
    # Buffers are made, parameters are not: nothing is drawn at random only to be overwritten.
    with init_empty_weights(include_buffers=False):
        model = AutoModelForSequenceClassification.from_config(  # type: ignore[no-untyped-call]
            config, dtype=torch.float32, attn_implementation=attention, trust_remote_code=False
        )
    return model if read_into(model, files) else None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the libraries' progress bars and advice out of the worker's log; what matters is checked here."""
    logger, bars = logging.getLogger("transformers"), transformers_logging.is_progress_bar_enabled()
    level = logger.level
    logger.setLevel(logging.ERROR)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
        if bars:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, TypeError, RuntimeError, OSError, AttributeError) as error:
        detail = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
        raise DriverError(
            code="checkpoint_unsupported", message=f"The checkpoint cannot be loaded: {detail}."
        ) from error


def _incomplete(missing: set[str]) -> DriverError:
    return DriverError(
        code="checkpoint_incomplete",
        message=f"The checkpoint lacks {len(missing)} of the model's weights ({', '.join(sorted(missing)[:3])}); "
        "they would be drawn at random. Use a checkpoint that was fine-tuned for classification.",
    )
