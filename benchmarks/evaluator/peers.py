"""Each way of answering, as its own users call it: a folder in, a function from pairs of texts to logits out.

The dtype is said explicitly everywhere; every peer tokenises the texts itself, and truncates at the same length.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel, pipeline

from app.protocol.driver import DType
from evaluator.ours import Answer, product_path
from evaluator.shapes import LABELS
from evaluator.texts import MAX_LENGTH

BATCH = 32
GPU_BATCH = 256


@dataclass(frozen=True, slots=True)
class Settings:
    """What a peer is told."""

    folder: Path
    device: torch.device
    threads: int
    budget: int | None


@dataclass(slots=True)
class Peer:
    """One loaded peer."""

    answer: Answer
    """Pairs -> logits, float32 [N, 3], in the checkpoint's label order."""
    facts: dict[str, Any] = field(default_factory=dict)
    """`tokens`: how many went through the model in all, padding included, where there is padding."""


Load = Callable[[Settings], Peer]
Run = Callable[[dict[str, np.ndarray]], np.ndarray]
"""A padded batch, int64 [B, L] by input name -> logits [B, 3]."""


def _counted(model: PreTrainedModel) -> dict[str, Any]:
    facts: dict[str, Any] = {"tokens": 0}

    def hook(_module: object, ids: tuple[torch.Tensor]) -> None:
        facts["tokens"] += ids[0].numel()

    # Not on the model: CrossEncoder calls its `forward` past the hooks.
    model.get_input_embeddings().register_forward_pre_hook(hook)
    return facts


def _ours(dtype: DType) -> Load:
    def load(settings: Settings) -> Peer:
        return Peer(*product_path(settings.folder, settings.device, dtype, settings.budget))

    return load


def _pipeline(batch_size: int) -> Load:
    def load(settings: Settings) -> Peer:
        folder = str(settings.folder)
        pipe = pipeline("text-classification", model=folder, dtype=torch.float32, device=settings.device)
        options = {"top_k": None, "function_to_apply": "none", "truncation": True, "max_length": MAX_LENGTH}

        def answer(pairs: list[tuple[str, str]]) -> np.ndarray:
            rows = pipe([{"text": one, "text_pair": two} for one, two in pairs], batch_size=batch_size, **options)
            scores = [{entry["label"]: entry["score"] for entry in row} for row in rows]
            return np.array([[row[label] for label in LABELS] for row in scores], dtype=np.float32)

        return Peer(answer, _counted(pipe.model))

    return load


def _cross_encoder(settings: Settings) -> Peer:
    from sentence_transformers import CrossEncoder  # noqa: PLC0415 - not installed everywhere

    encoder = CrossEncoder(
        str(settings.folder),
        max_length=MAX_LENGTH,
        device=str(settings.device),
        model_kwargs={"dtype": torch.float32},
        activation_fn=torch.nn.Identity(),
    )
    inner = next(part for part in encoder.modules() if isinstance(part, PreTrainedModel))
    return Peer(lambda pairs: encoder.predict(pairs, batch_size=BATCH, show_progress_bar=False), _counted(inner))


def _sorted_transformers(settings: Settings) -> Peer:
    model = AutoModelForSequenceClassification.from_pretrained(settings.folder, dtype=torch.float32)
    return _by_length(settings.folder, _torch_run(model, settings.device))


def _half_transformers(settings: Settings) -> Peer:
    model = AutoModelForSequenceClassification.from_pretrained(settings.folder, dtype=torch.float16)
    return _by_length(settings.folder, _torch_run(model, settings.device), GPU_BATCH)


def _flash_deberta(settings: Settings) -> Peer:
    from flashdeberta import FlashDebertaV2ForSequenceClassification  # noqa: PLC0415 - needs a GPU

    model = FlashDebertaV2ForSequenceClassification.from_pretrained(settings.folder, dtype=torch.float16)
    return _by_length(settings.folder, _torch_run(model, settings.device), GPU_BATCH)


def _disentangled_flash(settings: Settings) -> Peer:
    """Its packed path, as its README has it: embeddings padded, the encoder's rows without padding."""
    from disentangled_flash import optimize_deberta, pack_padded_with_info  # noqa: PLC0415 - needs a GPU

    model = AutoModelForSequenceClassification.from_pretrained(settings.folder, dtype=torch.float16)
    model = model.to(settings.device).eval()
    optimize_deberta(model.deberta, sequence_lengths=[64, MAX_LENGTH])

    def run(inputs: dict[str, np.ndarray]) -> np.ndarray:
        with torch.inference_mode():
            ids, mask = (torch.from_numpy(inputs[name]).to(settings.device) for name in ("input_ids", "attention_mask"))
            tokens, ends, info = pack_padded_with_info(model.deberta.embeddings(input_ids=ids, mask=mask), mask)
            encoder = model.deberta.encoder
            rows = encoder.forward_packed(
                tokens, ends, info.max_seqlen, packed_info=info, output_hidden_states=False
            ).last_hidden_state
            return model.classifier(model.pooler(rows[ends[:-1].long()][:, None])).float().cpu().numpy()

    return _by_length(settings.folder, run, GPU_BATCH)


def _onnxruntime(settings: Settings) -> Peer:
    import onnxruntime  # noqa: PLC0415 - not installed everywhere

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings.threads
    session = onnxruntime.InferenceSession(str(settings.folder / "model.onnx"), options)
    names = {entry.name for entry in session.get_inputs()}

    def run(inputs: dict[str, np.ndarray]) -> np.ndarray:
        return session.run(None, {name: array for name, array in inputs.items() if name in names})[0]

    return _by_length(settings.folder, run)


def _openvino(settings: Settings) -> Peer:
    import openvino  # noqa: PLC0415 - not installed everywhere

    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": settings.threads}
    compiled = openvino.Core().compile_model(str(settings.folder / "model.onnx"), "CPU", options)
    names = {entry.any_name for entry in compiled.inputs}

    def run(inputs: dict[str, np.ndarray]) -> np.ndarray:
        return compiled({name: array for name, array in inputs.items() if name in names})[0]

    return _by_length(settings.folder, run)


def _torch_run(model: PreTrainedModel, device: torch.device) -> Run:
    model = model.to(device).eval()

    def run(inputs: dict[str, np.ndarray]) -> np.ndarray:
        with torch.inference_mode():
            tensors = {name: torch.from_numpy(array).to(device) for name, array in inputs.items()}
            return model(**tensors).logits.float().cpu().numpy()

    return run


def _by_length(folder: Path, run: Run, size: int = BATCH) -> Peer:
    """The expert's way: tokenise everything, sort by tokens, pad batches to their longest."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    facts: dict[str, Any] = {"tokens": 0}

    def answer(pairs: list[tuple[str, str]]) -> np.ndarray:
        firsts, seconds = [one for one, _ in pairs], [two for _, two in pairs]
        encoded = tokenizer(firsts, seconds, truncation=True, max_length=MAX_LENGTH)
        order = sorted(range(len(pairs)), key=lambda index: -len(encoded["input_ids"][index]))
        logits = np.empty((len(pairs), len(LABELS)), dtype=np.float32)
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            batch = {name: [values[index] for index in chosen] for name, values in encoded.items()}
            inputs = dict(tokenizer.pad(batch, return_tensors="np"))
            facts["tokens"] += inputs["input_ids"].size
            logits[chosen] = run(inputs)
        return logits

    return Peer(answer, facts)


PEERS: dict[str, Load] = {
    "ours float32": _ours(DType.float32),
    "ours bf16 + re-check": _ours(DType.bfloat16),
    "ours float16 + re-check": _ours(DType.float16),
    "ours TF32 + re-check": _ours(DType.tf32),
    "pipeline, batch 1": _pipeline(1),
    "pipeline, batch 32": _pipeline(BATCH),
    "CrossEncoder, batch 32": _cross_encoder,
    "transformers, sorted, batch 32": _sorted_transformers,
    "ONNX Runtime float32": _onnxruntime,
    "OpenVINO float32": _openvino,
    "transformers float16, sorted, batch 256": _half_transformers,
    "FlashDeBERTa float16, sorted, batch 256": _flash_deberta,
    "DisentangledFlash float16, packed, batch 256": _disentangled_flash,
}
_NEEDS = {
    "CrossEncoder, batch 32": ("sentence_transformers",),
    "ONNX Runtime float32": ("onnx", "onnxruntime"),
    "OpenVINO float32": ("onnx", "openvino"),
    "FlashDeBERTa float16, sorted, batch 256": ("flashdeberta",),
    "DisentangledFlash float16, packed, batch 256": ("disentangled_flash",),
}


_ON_A_GPU = ("FlashDeBERTa", "DisentangledFlash", "transformers float16", "ours float16", "ours TF32")


def missing(name: str, device: torch.device) -> str | None:
    """Why a peer cannot take part here; None where it can."""
    absent = [package for package in _NEEDS.get(name, ()) if find_spec(package) is None]
    if absent:
        return f"not installed: {', '.join(absent)}"
    if name.startswith(_ON_A_GPU) and device.type != "cuda":
        return "needs a GPU"
    if name.startswith(("ONNX", "OpenVINO")) and device.type != "cpu":
        return "measured on a CPU only"
    return None
