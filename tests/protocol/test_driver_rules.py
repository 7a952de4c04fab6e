"""What a driver's file may not say together."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from app.protocol.driver import DriverSpec
from app.verdicts.schemas import VerdictPost
from tests.factories.drivers import driver_table, to_toml

SLICE = {"data": "probability_slice"}


def spec(**changes: Any) -> DriverSpec:  # noqa: ANN401  # fields of a driver's file
    return DriverSpec.model_validate(driver_table(**changes))


def test_early_stopping_is_off_unless_asked_for() -> None:
    assert not spec().decision.early_stopping
    assert spec(decision={"early_stopping": True}, protocol=SLICE).decision.early_stopping


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({}, "full_split"),
        ({"protocol": SLICE, "decision": {"estimand": "superpopulation"}}, "finite_population"),
        ({"protocol": SLICE, "slice": {"kind": "balanced", "size": 9}}, "balanced"),
        ({"protocol": SLICE, "metric": "mcc", "claim": {"metric": "mcc"}}, "accuracy"),
    ],
)
def test_early_stopping_needs_what_its_sequence_needs(changes: dict[str, Any], rule: str) -> None:
    decision = {"early_stopping": True, **changes.pop("decision", {})}
    with pytest.raises(ValidationError, match=rule):
        spec(decision=decision, **changes)


def test_f1_names_its_positive_label_and_no_other_metric_does() -> None:
    f1 = {"metric": "f1", "claim": {"metric": "f1"}}
    assert spec(**f1, positive_label="neutral").positive_label == "neutral"
    for changes in (f1, {"positive_label": "neutral"}, {**f1, "positive_label": "duplicate"}):
        with pytest.raises(ValidationError, match="positive_label"):
            spec(**changes)


def test_a_balanced_slice_is_for_accuracy() -> None:
    with pytest.raises(ValidationError, match="balanced"):
        spec(metric="f1_macro", claim={"metric": "f1_macro"}, slice={"kind": "balanced", "size": 9}, protocol=SLICE)


def test_a_metric_without_a_closed_form_has_a_hundred_labels_at_most() -> None:
    for number, refused in ((100, False), (101, True)):
        labels = [f"label-{i}" for i in range(number)]
        many = {"data": {"labels": labels}, "model": {"labels": labels}}
        assert spec(**many).data.labels == tuple(labels)
        wanted = {**many, "metric": "f1_macro", "claim": {"metric": "f1_macro"}}
        if refused:
            with pytest.raises(ValidationError, match="100 labels at most"):
                spec(**wanted)
        else:
            assert spec(**wanted).metric == "f1_macro"


def test_another_metric_than_the_claims_is_a_variant() -> None:
    with pytest.raises(ValidationError, match="same"):
        spec(metric="f1_macro")
    assert spec(metric="f1_macro", protocol={"metric": "variant"}).protocol.match == "proxy"


def test_a_file_can_say_that_there_is_a_single_text() -> None:
    written = to_toml(driver_table(data={"text_column": "sentence", "text_pair_column": ""}))
    read = DriverSpec.model_validate(tomllib.loads(written))
    assert (read.data.text_column, read.data.text_pair_column) == ("sentence", None)
    assert DriverSpec.model_validate(read.model_dump(mode="json")) == read
    assert spec().data.text_pair_column == "hypothesis"


def test_what_the_documentation_shows_is_taken() -> None:
    page = (Path(__file__).parents[2] / "docs" / "evaluator.md").read_text("utf-8")
    (driver,) = [
        block
        for block in re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
        if block.startswith("slug")
    ]
    assert DriverSpec.model_validate(tomllib.loads(driver)).positive_label == "positive"
    (posted,) = re.findall(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    evidence = VerdictPost.model_validate_json(posted).evidence
    assert evidence.confusion is not None
    assert [sum(row) for row in evidence.confusion] == list((evidence.split_label_counts or {}).values())
