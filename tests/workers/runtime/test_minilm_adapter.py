"""The shipped adapter against the logits that its own reference run left behind."""

import tomllib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from numpy.typing import NDArray

from app.protocol.driver import AdapterModel, DriverSpec, DType
from workers.datasets.load import load_split
from workers.runtime.batching import plan_batches
from workers.runtime.classifier import Classifier, check_model, load_classifier
from workers.runtime.predictor import Predictor
from workers.runtime.recheck import NO_RECHECK
from workers.runtime.tokenizing import Tokenized

pytestmark = pytest.mark.worker

_ROWS = np.sort(np.random.Generator(np.random.PCG64(20261123)).choice(9815, size=600, replace=False))
_GOLDEN = Path(__file__).parents[2] / "golden" / "reference_logits_matched.parquet"


@pytest.fixture(scope="module")
def spec(catalogue: Path) -> DriverSpec:
    return DriverSpec.model_validate(tomllib.loads((catalogue / "drivers" / "minilm-mnli-full.toml").read_text()))


@pytest.fixture(scope="module")
def classifier(spec: DriverSpec, catalogue: Path) -> Classifier:
    assert isinstance(spec.model, AdapterModel)
    checked = check_model(spec.model, root=catalogue, cache=catalogue)
    return load_classifier(checked, spec.data.labels, device=torch.device("cpu"), dtype=DType.float32)


@pytest.fixture(scope="module")
def tokenized(spec: DriverSpec, classifier: Classifier, catalogue: Path) -> Tokenized:
    split = load_split(spec.data, root=catalogue, cache=catalogue)
    assert split.text_pairs is not None
    return classifier.tokenizer.encode([split.texts[row] for row in _ROWS], [split.text_pairs[row] for row in _ROWS])


@pytest.fixture(scope="module")
def logits(classifier: Classifier, tokenized: Tokenized) -> NDArray[np.float32]:
    plan = plan_batches([len(example) for example in tokenized.examples], budget=1024, seed=0)
    found = np.full((len(_ROWS), 3), np.nan, dtype=np.float32)
    predictor = Predictor(classifier)
    for positions, part, _ in predictor.run(tokenized.examples, NO_RECHECK.groups(plan), Predictor.exact_logits):
        found[positions] = part
    return found


def test_every_answer_and_every_logit_agrees_with_the_reference(logits: NDArray[np.float32]) -> None:
    table = pq.read_table(_GOLDEN)
    assert table["idx"].to_pylist() == list(range(9815))
    reference = np.array(table["logits"].to_pylist(), dtype=np.float32)[_ROWS]
    np.testing.assert_array_equal(logits.argmax(axis=1), reference.argmax(axis=1))
    np.testing.assert_allclose(logits, reference, atol=1e-4)


def test_an_answer_does_not_depend_on_its_company(
    classifier: Classifier, tokenized: Tokenized, logits: NDArray[np.float32]
) -> None:
    some = list(range(0, len(_ROWS), 15))
    together = Predictor(classifier).exact_logits([tokenized.examples[position] for position in some])
    alone = [Predictor(classifier).exact_logits([tokenized.examples[position]])[0] for position in some]
    np.testing.assert_allclose(together, logits[some], atol=1e-4)
    np.testing.assert_allclose(np.stack(alone), logits[some], atol=1e-4)
    np.testing.assert_array_equal(together.argmax(axis=1), logits[some].argmax(axis=1))
