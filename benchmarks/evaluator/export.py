"""Write a checkpoint as ONNX for the peers that read it, in a process of its own: tracing takes memory."""

import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer


def export(folder: Path) -> None:
    """Trace the model on a padded batch, lengths and batch size left open."""
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = ["w9 w8 w7 a man sleeps", "w11 w12"]
    inputs = dict(tokenizer(texts, texts[::-1], padding=True, return_tensors="pt"))
    names = [name for name in ("input_ids", "attention_mask", "token_type_ids") if name in inputs]
    axes = {name: {0: "batch", 1: "tokens"} for name in names} | {"logits": {0: "batch"}}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (),
            str(folder / "model.onnx"),
            kwargs={name: inputs[name] for name in names},
            input_names=names,
            output_names=["logits"],
            dynamic_axes=axes,
            opset_version=17,
            dynamo=False,
        )
    _agree(folder, model, tokenizer)


def _agree(folder: Path, model: torch.nn.Module, tokenizer: object) -> None:
    """A traced model can be wrong for other lengths than the traced ones: look before measuring it."""
    import onnxruntime  # noqa: PLC0415 - not installed everywhere

    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    names = {entry.name for entry in session.get_inputs()}
    inputs = tokenizer(["w4 " * 50, "w5 w6"], ["w7", "w8 " * 9], padding=True, return_tensors="pt")  # type: ignore[operator]
    with torch.inference_mode():
        expected = model(**inputs).logits.numpy()
    found = session.run(None, {name: array.numpy() for name, array in inputs.items() if name in names})[0]
    if np.abs(found - expected).max() > 1e-3:  # noqa: PLR2004 - far above rounding, far below a wrong graph
        (folder / "model.onnx").unlink()
        msg = "the traced model does not answer as the original does"
        raise SystemExit(msg)


if __name__ == "__main__":
    export(Path(sys.argv[1]))
