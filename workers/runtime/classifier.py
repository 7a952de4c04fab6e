"""A loaded classifier that answers in the data set's label order, and the facts of what was loaded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from app.protocol.driver import AdapterModel, ClassifierModel, DType
from app.protocol.errors import DriverError
from workers.runtime.backend import Backend
from workers.runtime.backends import build_backends
from workers.runtime.checkpoint import Checkpoint, inspect_checkpoint
from workers.runtime.labels import label_columns
from workers.runtime.lora import merged_weights
from workers.runtime.packed.bare import BareModel, bare_model
from workers.runtime.packed.keeper import STRASSEN_ROOM
from workers.runtime.packed.numbers import Numbers
from workers.runtime.recent import Recent
from workers.runtime.safetensors_header import count_elements
from workers.runtime.sources import locate_checkpoint
from workers.runtime.tokenizing import PairTokenizer, load_tokenizer
from workers.runtime.weights import Stored, stored_in

_TOKENIZERS: Final[Recent[PairTokenizer]] = Recent(4)


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What was loaded: file digests, the label names as the checkpoint has them, what ran it."""

    kind: str
    weights_sha256: Mapping[str, str]
    base_weights_sha256: Mapping[str, str] | None
    architecture: str
    parameters: int
    """Besides the embeddings of tokens, which cost nothing to look up."""
    checkpoint_labels: Sequence[str]
    attention: str
    adapter_merged: bool
    backend: str
    kernels: str
    """What computes attention."""
    products: str
    """How rows of many tokens are multiplied in float32."""


@dataclass(frozen=True, slots=True)
class Classifier:
    """`columns[j]` is the checkpoint's column for the data set's label j; `exact` is the float32 back end."""

    tokenizer: PairTokenizer
    columns: NDArray[np.int64]
    backend: Backend
    exact: Backend
    vocabulary: int
    facts: ModelFacts


@dataclass(frozen=True, slots=True)
class CheckedModel:
    """A model specification whose files are all there, safe to read and as pinned; nothing is loaded yet."""

    spec: ClassifierModel | AdapterModel
    own: Checkpoint
    base: Checkpoint | None

    @property
    def identity(self) -> tuple[object, ...]:
        """Changes when the specification or any file does."""
        return (self.spec.model_dump_json(), self.own.identity, self.base.identity if self.base else None)

    def memory(self, dtype: DType, device: torch.device) -> int:
        """The bytes that the loaded model keeps at the most: float32 weights, and what is laid out beside them.

        That is the weights of a lower dtype, or the factors of strict float32's products on a CPU.
        """
        files = [part.folder / name for part in (self.own, self.base) if part for name in part.weights_sha256]
        elements = sum(map(count_elements, files))
        if dtype in {DType.float16, DType.bfloat16}:
            return (4 + 2) * elements
        factors = min(3 * elements, STRASSEN_ROOM) if dtype is DType.float32 and device.type == "cpu" else 0
        return 4 * elements + factors


def check_model(spec: ClassifierModel | AdapterModel, *, root: Path, cache: Path) -> CheckedModel:
    """Find the model's files, download them where they are on the hub, and look them over. Raises DriverError.

    Weights may still be being hashed when this returns: `load_classifier` waits for that.
    """
    folder = locate_checkpoint(spec.source, root=root, cache=cache)
    if isinstance(spec, ClassifierModel):
        own = inspect_checkpoint(folder, weights="model.safetensors", pinned=spec.weights_sha256, wait=False)
        return CheckedModel(spec, own, None)
    own = inspect_checkpoint(
        folder,
        weights="adapter_model.safetensors",
        configs=("config.json", "adapter_config.json"),
        pinned=spec.weights_sha256,
        wait=False,
    )
    below = locate_checkpoint(spec.base, root=root, cache=cache)
    base = inspect_checkpoint(below, weights="model.safetensors", pinned=spec.base_weights_sha256, wait=False)
    return CheckedModel(spec, own, base)


def tokenizer_of(checked: CheckedModel) -> PairTokenizer:
    """The model's tokenizer; the last ones are kept, so that texts can be tokenised before the model is there.

    Raises DriverError as `load_tokenizer` does.
    """
    spec, folders = checked.spec, [checkpoint.folder for checkpoint in (checked.own, checked.base) if checkpoint]
    return _TOKENIZERS.get(
        checked.identity,
        lambda: load_tokenizer(folders, max_length=spec.max_length, pinned=spec.tokenizer_sha256),
    )


def load_classifier(
    checked: CheckedModel, label_names: Sequence[str], *, device: torch.device, dtype: DType
) -> Classifier:
    """Load the model for a data set with these labels. Raises DriverError; label troubles come before any weight.

    Among them `checkpoint_digest_mismatch`: weights are hashed while they are laid out, and nothing is returned that is
    not as pinned.
    """
    spec = checked.spec
    names = _checkpoint_labels(checked.own.configs["config.json"])
    columns = label_columns(names, label_names, spec.label_names)
    try:
        model, attention = _model(checked, len(names))
    except DriverError:
        # Weights that cannot be loaded may be others than were pinned, which says more.
        _hashed(checked)
        raise
    _require_positions(model, spec.max_length)
    # Asked before the back end is built, which spends the model.
    words, architecture = model.get_input_embeddings(), getattr(model, "architecture", type(model).__name__)
    vocabulary = words.num_embeddings
    parameters = sum(parameter.numel() for parameter in model.parameters()) - words.weight.numel()
    backends = build_backends(model, device=device, dtype=dtype, longest=spec.max_length)
    own, base = _hashed(checked)
    facts = ModelFacts(
        kind=spec.kind,
        weights_sha256=own,
        base_weights_sha256=base,
        architecture=architecture,
        parameters=parameters,
        checkpoint_labels=names,
        attention=attention,
        adapter_merged=checked.base is not None,
        backend=backends.name,
        kernels=backends.kernels,
        products=backends.products,
    )
    return Classifier(tokenizer_of(checked), columns, backends.quick, backends.exact, vocabulary, facts)


def _hashed(checked: CheckedModel) -> tuple[dict[str, str], dict[str, str] | None]:
    """The digests of the weights, and of the base's, which are as pinned. Raises DriverError."""
    return dict(checked.own.weights_sha256), dict(checked.base.weights_sha256) if checked.base else None


def _model(checked: CheckedModel, labels: int) -> tuple[Any, str]:
    """The model in float32 and its attention implementation; without transformers where the files say it all."""
    model = bare_model(checked.own.configs["config.json"], labels)
    weights = None if model is None else _weights(model, checked)
    if model is not None and weights is not None and model.adopt(weights):
        return model, model.attention
    # Seconds of imports: transformers, and with adapters peft.
    from workers.runtime.loading import load_adapted, load_model  # noqa: PLC0415

    return load_adapted(checked.base, checked.own) if checked.base else load_model(checked.own)


def _weights(model: BareModel, checked: CheckedModel) -> Mapping[str, Numbers] | None:
    own = _stored(checked.own)
    if checked.base is None:
        return own
    return merged_weights(model, checked.own.configs["adapter_config.json"], _stored(checked.base), own)


def _stored(checkpoint: Checkpoint) -> dict[str, Stored]:
    return stored_in([checkpoint.folder / name for name in checkpoint.weights_sha256], checkpoint.identity)


def _checkpoint_labels(config: Mapping[str, Any]) -> list[str]:
    named = config.get("id2label")
    if not isinstance(named, Mapping):
        # What transformers would call them; label_columns refuses such names unless the driver maps them.
        return [f"LABEL_{index}" for index in range(int(config.get("num_labels") or 2))]
    if set(named) != {str(index) for index in range(len(named))}:
        raise DriverError(
            code="checkpoint_labels_mismatch", message="The checkpoint's id2label does not count from 0 without gaps."
        )
    return [str(named[str(index)]) for index in range(len(named))]


def _require_positions(model: torch.nn.Module, max_length: int) -> None:
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, torch.nn.Embedding):
            # Where padding has a position of its own (RoBERTa), counting begins behind it.
            usable = module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1)
            if max_length > usable:
                raise DriverError(
                    code="max_length_unsupported",
                    message=f"The driver allows {max_length} tokens; the model has positions for {usable}.",
                )
