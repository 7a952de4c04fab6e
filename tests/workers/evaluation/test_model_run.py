import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from app.protocol.driver import DriverSpec
from app.protocol.errors import DriverError
from tests.workers.split_files import NLI, nli_rows, write_split
from tests.workers.tiny_checkpoints import WORDS, edit_json, write_checkpoint
from workers.evaluation.run import Run, open_run
from workers.evaluation.stopping import random_order
from workers.runtime.cache import warm_models
from workers.runtime.packed.native import levels

pytestmark = pytest.mark.worker

_COUNT = 150


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    warm_models.clear()
    yield
    warm_models.clear()
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of a tiny checkpoint and a split of 150 pairs, with groups."""
    root = tmp_path_factory.mktemp("toy")
    write_checkpoint(root / "model")
    return root


def _spec(root: Path, **fields: Any) -> DriverSpec:  # noqa: ANN401 - fields of a spec
    rows = [row | {"genre": "fiction" if row["idx"] % 2 else "slate"} for row in nli_rows(_COUNT, words=WORDS)]
    claim = {"section": "s", "row": "r", "column": "c", "reported_value": "50.0", "unit": "percent"}
    spec = {
        "slug": "toy",
        "version": "1.2.3",
        "description": "A toy.",
        "paper": "draft:toy",
        "claim": claim | {"metric": "accuracy", "quoted_text": "50.0"},
        "model": {"kind": "sequence-classification", "source": {"path": "model"}},
        "data": write_split(root, rows, group_column="genre"),
        "inference": {"batch_tokens": 96},
        "protocol": {"model": "exact_weights", "data": "probability_slice", "metric": "same", "inference": "same"},
        "decision": {"margin": 0.01},
    } | fields
    return DriverSpec.model_validate(spec)


def _open(root: Path, spec: DriverSpec, stages: list[str] | None = None) -> Run:
    heard = [] if stages is None else stages
    return open_run(spec, catalogue=root, cache=root / "cache", device="cpu", on_stage=heard.append)


def _all(run: Run, skip: frozenset[int] = frozenset()) -> dict[int, tuple[str, int, int, bytes]]:
    found = {}
    for batch in run.batches(skip):
        assert batch.logits is not None
        kinds = [array.dtype.name for array in (batch.rows, batch.gold, batch.predicted, batch.logits)]
        assert kinds == ["int64", "int16", "int16", "float32"]
        np.testing.assert_array_equal(batch.predicted, batch.logits.argmax(axis=1))
        for row, identity, gold, predicted, logits in zip(
            batch.rows.tolist(),
            batch.item_ids,
            batch.gold.tolist(),
            batch.predicted.tolist(),
            batch.logits,
            strict=True,
        ):
            assert row not in found
            found[row] = (identity, gold, predicted, logits.tobytes())
    return found


def test_a_run_predicts_each_example_once_and_says_how(toy: Path) -> None:
    stages: list[str] = []
    run = _open(toy, _spec(toy), stages)
    assert stages == ["loading_data", "loading_model"]
    assert (run.total, run.label_names, run.split_counts) == (_COUNT, NLI, (50, 50, 50))
    assert run.groups_of([0, 1]) == ["slate", "fiction"]
    found = _all(run)
    assert stages == ["loading_data", "loading_model", "inference"]
    assert sorted(found) == list(range(_COUNT))
    assert all((identity, gold) == (str(100 + row), row % 3) for row, (identity, gold, _, _) in found.items())
    assert len({predicted for _, _, predicted, _ in found.values()}) == 3
    facts = run.facts()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["driver"]["agent_version"] == "v1.2.3-toy"
    assert facts["data"]["label_counts"] == [50, 50, 50]
    assert facts["slice"] | {"indices_sha256": ""} == {
        "kind": "full",
        "requested": None,
        "size": _COUNT,
        "seed": 0,
        "indices_sha256": "",
        "label_counts": [50, 50, 50],
    }
    assert facts["model"]["checkpoint_labels"] == list(NLI)
    assert facts["model"]["model_was_run"]
    assert len(facts["model"]["weights_sha256"]["model.safetensors"]) == 64
    assert facts["model"]["tokenizer"]["reader"] == "tokenizer.json"
    inference = facts["inference"]
    assert (inference["dtype"], inference["device"], inference["truncated"]) == ("float32", "cpu", 0)
    assert inference["batches"] > 5
    assert inference["deterministic"]
    assert facts["environment"]["torch"] == torch.__version__
    assert set(facts["seconds"]) == {"loading_data", "loading_model", "inference"}
    assert facts["examples_per_second"] > 0


def test_the_same_driver_gives_the_same_bits_twice(toy: Path) -> None:
    first = _all(_open(toy, _spec(toy)))
    assert len(warm_models) == 1
    warm_models.clear()
    torch.manual_seed(99)
    assert _all(_open(toy, _spec(toy))) == first
    assert _all(_open(toy, _spec(toy))) == first


def test_a_resumed_run_gives_what_an_uninterrupted_one_does(toy: Path) -> None:
    whole = _all(_open(toy, _spec(toy)))
    batches = _open(toy, _spec(toy)).batches()
    begun = [next(batches) for _ in range(3)]
    batches.close()  # type: ignore[attr-defined]
    stored = frozenset(int(row) for batch in begun for row in batch.rows)
    warm_models.clear()
    rest = _all(_open(toy, _spec(toy)), stored)
    assert set(rest) == set(whole) - stored
    assert all(whole[row] == answer for row, answer in rest.items())
    torn = frozenset(list(stored)[::2])  # a batch that was stored in part
    assert all(whole[row] == answer for row, answer in _all(_open(toy, _spec(toy)), torn).items())
    assert _all(_open(toy, _spec(toy)), frozenset(whole)) == {}
    assert len(_all(_open(toy, _spec(toy)), frozenset({10**9}))) == _COUNT


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_number_of_threads_changes_no_bit_and_no_order(toy: Path, dtype: str) -> None:
    spec = _spec(toy, inference={"batch_tokens": 96, "dtype": dtype})
    one = _open(toy, spec)
    alone = _all(one)
    torch.set_num_threads(3)
    many = _open(toy, spec)
    assert list(_all(many).items()) == list(alone.items())
    facts = many.facts()["inference"]
    assert (facts["batches_at_once"], facts["threads"]) == (3, 3)
    assert facts["kernels"] == next((one.level for one in levels()), "torch")
    assert facts["products"] == "plain", "a model as small as this one"
    counted = ("batches", "rechecked", "non_finite", "halvings", "calibration", "audit")
    assert [facts[name] for name in counted] == [one.facts()["inference"][name] for name in counted]
    stored = frozenset(list(alone)[:40])
    assert _all(_open(toy, spec), stored).items() <= alone.items()


def test_a_run_that_is_left_early_leaves_no_thread_behind(toy: Path) -> None:
    torch.set_num_threads(2)
    for _ in _open(toy, _spec(toy)).batches():
        assert any(thread.name.startswith("lane") for thread in threading.enumerate())
        break
    assert not any(thread.name.startswith("lane") for thread in threading.enumerate())


def test_a_slice_is_the_one_that_was_drawn(toy: Path) -> None:
    run = _open(toy, _spec(toy, slice={"kind": "balanced", "size": 61, "seed": 5}))
    assert run.total == 60
    found = _all(run)
    assert [sum(gold == label for _, gold, _, _ in found.values()) for label in range(3)] == [20, 20, 20]
    facts = run.facts()
    assert (facts["slice"]["requested"], facts["slice"]["size"]) == (61, 60)
    assert facts["data"]["label_counts"] == [50, 50, 50]
    again = _open(toy, _spec(toy, slice={"kind": "balanced", "size": 61, "seed": 5})).facts()
    other = _open(toy, _spec(toy, slice={"kind": "balanced", "size": 61, "seed": 6})).facts()
    assert again["slice"] == facts["slice"]
    assert other["slice"]["indices_sha256"] != facts["slice"]["indices_sha256"]
    with pytest.raises(DriverError) as caught:
        _open(toy, _spec(toy, slice={"kind": "simple", "size": 151}))
    assert caught.value.code == "slice_too_large"


@pytest.mark.parametrize(("threads", "dtype"), [(1, "float32"), (3, "float32"), (1, "bfloat16"), (3, "bfloat16")])
def test_a_model_stops_early_where_its_sequence_decides_and_so_does_a_resumed_run(
    toy: Path, threads: int, dtype: str
) -> None:
    torch.set_num_threads(threads)
    claim = {"section": "s", "row": "r", "column": "c", "reported_value": "95.0", "unit": "percent"}
    claim |= {"metric": "accuracy", "quoted_text": "95.0"}
    inference = {"batch_tokens": 96, "dtype": dtype}
    spec = _spec(toy, claim=claim, decision={"margin": 0.01, "early_stopping": True}, inference=inference)
    run = _open(toy, spec)
    found = _all(run)
    stopping = run.facts()["stopping"]
    assert (stopping["stopped_early"], stopping["position"]) == (True, "below")
    assert stopping["examined"] == len(found) < _COUNT
    assert set(found) == set(random_order(_COUNT, 0)[: len(found)].tolist())
    batches = _open(toy, spec).batches()
    begun = next(batches)
    batches.close()  # type: ignore[attr-defined]
    stored = frozenset(begun.rows.tolist())
    right = frozenset(begun.rows[begun.gold == begun.predicted].tolist())
    resumed = _open(toy, spec)
    rest = {row for batch in resumed.batches(stored, right) for row in batch.rows.tolist()}
    assert rest == set(found) - stored
    assert resumed.facts()["stopping"] == stopping


def test_labels_are_the_data_sets_whatever_the_checkpoints_order(toy: Path, tmp_path: Path) -> None:
    plain = _all(_open(toy, _spec(toy)))
    write_checkpoint(tmp_path / "model")
    edit_json(tmp_path / "model" / "config.json", id2label={"0": NLI[2], "1": NLI[0], "2": NLI[1]})
    moved = _all(_open(tmp_path, _spec(tmp_path)))
    # Column j of the plain checkpoint is called what column j + 1 (mod 3) is called in the other.
    assert all((plain[row][2] + 2) % 3 == moved[row][2] for row in plain)


@pytest.mark.parametrize("threads", [1, 3])
def test_lack_of_memory_changes_no_answer(toy: Path, monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    torch.set_num_threads(threads)
    whole = _all(_open(toy, _spec(toy)))
    run = _open(toy, _spec(toy))
    classifier = run._source._classifier  # type: ignore[attr-defined]
    real = type(classifier.exact).logits

    def tight(self: object, batch: list[object]) -> object:
        if len(batch) > 2:
            message = "CUDA out of memory"
            raise torch.OutOfMemoryError(message)
        return real(self, batch)

    monkeypatch.setattr(type(classifier.exact), "logits", tight)
    halved = _all(run)
    assert {row: answer[:3] for row, answer in halved.items()} == {row: answer[:3] for row, answer in whole.items()}
    assert run.facts()["inference"]["halvings"] > 0


def test_bfloat16_answers_as_float32_does_and_says_what_was_checked_again(toy: Path) -> None:
    exact = _all(_open(toy, _spec(toy)))
    run = _open(toy, _spec(toy, inference={"batch_tokens": 96, "dtype": "bfloat16"}))
    quick = _all(run)
    assert {row: answer[2] for row, answer in quick.items()} == {row: answer[2] for row, answer in exact.items()}
    inference = run.facts()["inference"]
    assert inference["calibration"]["bound"] >= 0.05
    assert inference["rechecked"] > 0
    skipped = frozenset(list(exact)[:40])
    rest = _all(_open(toy, _spec(toy, inference={"batch_tokens": 96, "dtype": "bfloat16"})), skipped)
    assert all(quick[row] == answer for row, answer in rest.items())


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"inference": {"dtype": "float16"}}, "dtype_unsupported"),
        ({"inference": {"dtype": "tf32"}}, "dtype_unsupported"),
        ({"model": {"kind": "sequence-classification", "source": {"path": "gone"}}}, "checkpoint_missing"),
    ],
)
def test_what_cannot_be_run(toy: Path, fields: dict[str, Any], code: str) -> None:
    with pytest.raises(DriverError) as caught:
        _open(toy, _spec(toy, **fields))
    assert caught.value.code == code


def test_damaged_weights_never_become_a_score(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = _open(toy, _spec(toy))
    monkeypatch.setattr("workers.runtime.predictor.np.isfinite", lambda logits: np.zeros_like(logits, dtype=bool))
    with pytest.raises(DriverError) as caught:
        _all(run)
    assert caught.value.code == "non_finite_logits"


def test_a_changed_checkpoint_is_loaded_anew(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "model")
    before = _all(_open(tmp_path, _spec(tmp_path)))
    write_checkpoint(tmp_path / "model", seed=1)
    assert _all(_open(tmp_path, _spec(tmp_path))) != before
    assert len(warm_models) == 2
