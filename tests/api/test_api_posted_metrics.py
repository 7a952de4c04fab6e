"""Evidence that outside agents post on claims about F1 and Matthews's coefficient."""

from collections.abc import Mapping
from typing import Any

import pytest
from sklearn.metrics import f1_score, matthews_corrcoef

from app.core.db import Database
from tests.api.helpers import PAPER, SPLIT, Api, Json, counts_body, ok, predictions_body, refused, unchanged

PATH = f"/v1/papers/{PAPER}/verdicts"
LABELS = list(SPLIT)
PAIRS = [(LABELS[i % 3], LABELS[(i + (i % 7 == 0)) % 3]) for i in range(300)]
GOLD, PREDICTED = ([LABELS.index(pair[side]) for pair in PAIRS] for side in (0, 1))
CONFUSION = [[sum(pair == (a, b) for pair in PAIRS) for b in LABELS] for a in LABELS]
SCORES: Mapping[str, float] = {
    "f1": f1_score(GOLD, PREDICTED, labels=[1], average="macro"),
    "f1_macro": f1_score(GOLD, PREDICTED, average="macro"),
    "f1_micro": f1_score(GOLD, PREDICTED, average="micro"),
    "f1_weighted": f1_score(GOLD, PREDICTED, average="weighted"),
    "mcc": matthews_corrcoef(GOLD, PREDICTED),
}


def body(claim: str, metric: str, **changes: Any) -> Json:  # noqa: ANN401  # fields of the evidence
    posted = predictions_body(PAIRS, **changes) | {"claim": claim}
    return posted | ({"positive_label": LABELS[1]} if metric == "f1" else {})


def as_matrix(posted: Json) -> Json:
    """The same evidence as a confusion matrix."""
    evidence = {name: value for name, value in posted["evidence"].items() if name != "predictions"}
    return posted | {"evidence": evidence | {"confusion": CONFUSION}}


@pytest.mark.parametrize("metric", SCORES)
def test_each_metric_is_decided_from_predictions_or_their_confusion_matrix(metric: str, api: Api) -> None:
    claim = api.post_claim(row=metric, reported_metric=metric)["id"]
    listed = ok(api.post(PATH, json=body(claim, metric)), 201)
    assert listed["score"] == pytest.approx(SCORES[metric], abs=1e-12)
    decision = listed["estimate"]
    assert (decision["metric"], decision["interval_method"]) == (metric, "bayesian_bootstrap")
    assert (decision["bootstrap_seed"], decision["bootstrap_draws"]) == (0, 50_000)
    below = decision["interval_95"][1] < decision["reported"] - decision["margin"]
    assert (listed["status"] == "not_reproduced") == below
    counted = ok(api.post(PATH, json=as_matrix(body(claim, metric))), 201)
    assert counted["estimate"] == decision
    for verdict in (listed, counted):
        evidence = ok(api.get(f"/v1/verdicts/{verdict['id']}/evidence"))
        assert (evidence["confusion"], evidence["labels"]) == (CONFUSION, LABELS)
        assert evidence["facts"].get("positive_label") == (LABELS[1] if metric == "f1" else None)


def test_evidence_that_does_not_tell_the_metric_is_refused(api: Api, database: Database) -> None:
    f1, mcc = (api.post_claim(row=metric, reported_metric=metric)["id"] for metric in ("f1", "mcc"))
    whole, good = body(f1, "f1"), body(mcc, "mcc")
    matrix = as_matrix(good)
    many = [f"label-{i}" for i in range(101)]
    wrong: list[tuple[Json, str]] = [
        ({**whole, "positive_label": None}, "body.positive_label"),
        ({**whole, "positive_label": "maybe"}, "body.positive_label"),
        ({**good, "positive_label": LABELS[0]}, "body.positive_label"),
        ({**counts_body(), "positive_label": LABELS[0]}, "body.positive_label"),
        (counts_body(claim=mcc), "body.evidence.counts"),
        (body(mcc, "mcc", slice_kind="balanced"), "body.evidence.slice_kind"),
        (
            body(
                mcc,
                "mcc",
                labels=many,
                split_label_counts=dict.fromkeys(many, 1),
                predictions=[{"id": str(i), "gold": one, "predicted": one} for i, one in enumerate(many)],
            ),
            "body.evidence.labels",
        ),
        ({**matrix, "evidence": matrix["evidence"] | {"confusion": CONFUSION[:2]}}, "body.evidence.confusion"),
        (
            {**matrix, "evidence": matrix["evidence"] | {"confusion": [row[:2] for row in CONFUSION]}},
            "body.evidence.confusion",
        ),
        ({**matrix, "evidence": matrix["evidence"] | {"confusion": [[0] * 3] * 3}}, "body.evidence.confusion"),
        (
            {**matrix, "evidence": matrix["evidence"] | {"confusion": [[5000, 0, 0], *CONFUSION[1:]]}},
            "body.evidence.split_label_counts",
        ),
    ]
    shape = (
        {**good, "evidence": good["evidence"] | {"confusion": CONFUSION}},
        matrix | {"evidence": {"confusion": CONFUSION, "labels": LABELS}},
    )
    with unchanged(database):
        for posted, field in wrong:
            refused(api.post(PATH, json=posted), 422, "evidence_invalid", field)
        for posted in shape:
            refused(api.post(PATH, json=posted), 422, "validation_failed", "body.evidence")
