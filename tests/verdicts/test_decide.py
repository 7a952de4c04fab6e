"""The decision: the known answers, its properties, and what it refuses."""

import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from app.protocol.axes import ProtocolMatch
from app.protocol.driver import Estimand
from app.statistics.intervals import IntervalMethod
from app.statistics.sequential import ConfidenceSequence
from app.verdicts.decide import (
    Decision,
    EstimandError,
    ImpossibleCountsError,
    LabelMapSuspectError,
    Measurement,
    PrintedValueError,
    ReportedValue,
    Stratum,
    VerdictStatus,
    decide,
    refuse_suspect_labels,
)

CLAIM = ReportedValue.from_printed(Decimal("91.8"), "percent")
N = 9815
MNLI = (3479, 3123, 3213)


def simple(correct: int, n: int, population: int | None = N) -> Measurement:
    return Measurement((Stratum(n, correct, population),), population)


def balanced(*correct: int, n: int = 1666) -> Measurement:
    return Measurement(tuple(Stratum(n, k, total) for k, total in zip(correct, MNLI, strict=True)), N)


def decided(
    measurement: Measurement,
    margin: float = 0.01,
    *,
    estimand: Estimand = Estimand.finite_population,
    match: ProtocolMatch = ProtocolMatch.proxy,
    claim: ReportedValue = CLAIM,
    early_stopping: bool = False,
) -> Decision:
    return decide(claim, measurement, estimand=estimand, margin=margin, match=match, early_stopping=early_stopping)


@pytest.mark.parametrize(
    ("correct", "n", "margin", "status", "interval_90"),
    [
        (184, 200, 0.01, "inconclusive", (0.88151, 0.94885)),
        (459, 500, 0.03, "reproduced", (0.89557, 0.93683)),
        (460, 500, 0.02, "inconclusive", (0.89781, 0.93856)),
        (1836, 2000, 0.01, "reproduced", (0.90841, 0.92685)),
        (168, 200, 0.03, "not_reproduced", None),
        (4565, 4998, 0.02, "reproduced", None),
    ],
)
def test_known_answers(
    correct: int, n: int, margin: float, status: str, interval_90: tuple[float, float] | None
) -> None:
    found = decided(simple(correct, n), margin)
    assert found.status == status
    assert found.direction == ("below" if status == "not_reproduced" else None)
    if interval_90:
        assert tuple(round(end, 5) for end in found.interval_90) == interval_90
    assert found.interval_method is IntervalMethod.inverted_hypergeometric
    assert found.rule_version == "1"


def test_known_answers_of_the_inconclusive_case() -> None:
    found = decided(simple(184, 200))
    assert tuple(round(end, 5) for end in found.interval_95) == (0.87387, 0.95323)
    assert round(found.p_inside, 4) == 0.4161
    assert found.confidence == round(0.85 * (1 - found.p_inside), 4)
    assert found.margin == 0.0105


def test_known_probability_of_the_barely_reproduced_case() -> None:
    found = decided(simple(1836, 2000), match=ProtocolMatch.exact)
    assert round(found.p_inside, 4) == 0.9446
    assert (found.ceiling, found.confidence) == (1.0, 0.9446)


def test_the_golden_papers_verdict() -> None:
    golden = json.loads((Path(__file__).parent.parent / "golden" / "paper-2111.09543.json").read_text())["verdict"]
    found = decided(simple(4565, 4998), 0.02)
    assert (found.status, found.score, found.confidence) == (golden["status"], golden["score"], golden["confidence"])
    assert (found.confidence, round(found.p_inside, 4)) == (0.85, 1.0)
    # As the balanced slice it was, whatever the labels' shares of the 4565.
    for correct in [(1522, 1522, 1521), (1600, 1450, 1515), (1480, 1510, 1575)]:
        stratified = decided(balanced(*correct), 0.02)
        assert (stratified.status, stratified.score, stratified.confidence) == ("reproduced", 4565 / 4998, 0.85)
        assert stratified.interval_method is IntervalMethod.effective_hypergeometric


def test_the_golden_counts_about_new_items() -> None:
    # Reproduced too, but one chance in 15,000 is left: P(inside) is 0.99993.
    found = decided(simple(4565, 4998), 0.02, estimand=Estimand.superpopulation)
    assert (found.status, round(found.p_inside, 4), found.confidence) == ("reproduced", 0.9999, 0.8499)
    assert found.interval_method is IntervalMethod.wilson


def test_score_and_estimate_are_two_things_on_a_balanced_slice() -> None:
    found = decided(balanced(1600, 1450, 1515), 0.02)
    assert found.score == 4565 / 4998
    assert found.estimate == pytest.approx((3479 * 1600 + 3123 * 1450 + 3213 * 1515) / 1666 / N)
    assert found.interval_90[0] < found.estimate < found.interval_90[1]


def test_a_census_leaves_no_sampling_error() -> None:
    found = decided(simple(9010, N), match=ProtocolMatch.exact)
    assert found.interval_95 == (9010 / N, 9010 / N)
    assert (found.status, found.standard_error, found.confidence) == ("reproduced", 0.0, 1.0)
    wrong = decided(simple(9300, N), match=ProtocolMatch.exact)
    assert (wrong.status, wrong.direction, wrong.confidence) == ("not_reproduced", "above", 1.0)
    assert decided(simple(9010, N), estimand=Estimand.superpopulation).interval_95[0] < 9010 / N


def test_a_census_on_the_edge_of_the_margin_is_inside() -> None:
    claim = ReportedValue.from_printed(Decimal("0.30"), "fraction")
    for correct, status in [(195, "reproduced"), (194, "not_reproduced"), (405, "reproduced"), (406, "not_reproduced")]:
        assert decided(simple(correct, 1000, 1000), 0.1, claim=claim).status == status


@pytest.mark.parametrize("estimand", list(Estimand))
@pytest.mark.parametrize(
    "measurement", [simple(184, 200), simple(460, 500), balanced(62, 60, 60, n=66), balanced(5, 4, 5, n=5)]
)
def test_that_many_more_examples_decide_it(measurement: Measurement, estimand: Estimand) -> None:
    found = decided(measurement, 0.012, estimand=estimand)
    assert found.status == "inconclusive"
    assert found.more_examples_needed is not None
    assert found.more_examples_needed > 0
    if estimand is Estimand.finite_population:
        assert measurement.n + found.more_examples_needed <= N
    if len(measurement.strata) == 1 and estimand is Estimand.finite_population:
        n = measurement.n + found.more_examples_needed
        grown = simple(round(n * measurement.score), n)
        assert decided(grown, 0.012).status != "inconclusive"
        fewer = simple(round((n - 1) * measurement.score), n - 1)
        assert decided(fewer, 0.012).status == "inconclusive"


def test_decided_measurements_need_no_more_and_some_are_never_decided() -> None:
    assert decided(simple(459, 500), 0.03).more_examples_needed == 0
    # The rate lies on the edge of the margin: no number of new items tells the sides apart.
    claim = ReportedValue(0.9, 0.0)
    on_the_edge = decided(simple(500, 625), 0.1, claim=claim, estimand=Estimand.superpopulation)
    assert (on_the_edge.status, on_the_edge.more_examples_needed) == ("inconclusive", None)


def test_a_rate_outside_the_margin_needs_fewer_the_further_away_it_is() -> None:
    needed = [decided(simple(k, 200), 0.01).more_examples_needed for k in (179, 177, 175)]
    assert needed == sorted(needed, key=lambda more: -(more or 0))
    assert all(needed)


measurements = st.integers(1, 900).flatmap(
    lambda total: st.integers(1, total).flatmap(
        lambda n: st.integers(0, n).map(lambda k: Measurement((Stratum(n, k, total),)))
    )
)
values = st.integers(0, 1000).map(lambda thousandths: thousandths / 1000)


@given(measurements, values, st.sampled_from([0.005, 0.01, 0.05, 0.2]), st.sampled_from(list(Estimand)))
@settings(deadline=None, derandomize=True, max_examples=150)
def test_the_mirrored_measurement_of_the_mirrored_claim_mirrors_the_decision(
    measurement: Measurement, value: float, margin: float, estimand: Estimand
) -> None:
    (one,) = measurement.strata
    mirrored = Measurement((Stratum(one.n, one.n - one.correct, one.total),))
    here = decided(measurement, margin, claim=ReportedValue(value, 0.0005), estimand=estimand)
    there = decided(mirrored, margin, claim=ReportedValue(1 - value, 0.0005), estimand=estimand)
    assert here.status is there.status
    assert here.p_inside == pytest.approx(there.p_inside, abs=1e-9)
    assert {here.direction, there.direction} in ({None}, {"below", "above"})
    assert here.interval_95 == pytest.approx((1 - there.interval_95[1], 1 - there.interval_95[0]), abs=1e-12)


@given(measurements, values, st.sampled_from([0.005, 0.01, 0.05, 0.2]), st.sampled_from(list(Estimand)))
@settings(deadline=None, derandomize=True, max_examples=150)
def test_every_decision_is_what_its_own_fields_say(
    measurement: Measurement, value: float, margin: float, estimand: Estimand
) -> None:
    found = decided(measurement, margin, claim=ReportedValue(value, 0.0005), estimand=estimand)
    low, high = found.reported - found.margin - 1e-12, found.reported + found.margin + 1e-12
    inside = low <= found.interval_90[0] and found.interval_90[1] <= high
    outside = found.interval_95[1] < low or found.interval_95[0] > high
    assert (found.status is VerdictStatus.reproduced) == inside
    assert (found.status is VerdictStatus.not_reproduced) == outside
    likely = {"reproduced": found.p_inside, "not_reproduced": 1 - found.p_inside}
    belief = likely.get(found.status, max(found.p_inside, 1 - found.p_inside))
    assert found.confidence == round(0.85 * belief, 4)
    assert 0 <= found.interval_95[0] <= found.interval_90[0] <= found.estimate <= found.interval_90[1] <= 1
    assert 0 <= found.p_inside <= 1
    assert (found.more_examples_needed == 0) == (found.status is not VerdictStatus.inconclusive)
    if measurement.n == measurement.population and estimand is Estimand.finite_population:
        assert found.status is not VerdictStatus.inconclusive


def test_a_false_claim_is_reproduced_no_more_often_than_one_time_in_twenty() -> None:
    # The truth lies one item outside the margin, on either side; every sample of 300 of 1000 is counted.
    claim, n, total = ReportedValue(0.9, 0.0), 300, 1000
    reproduced = [k for k in range(n + 1) if decided(simple(k, n, total), 0.05, claim=claim).status == "reproduced"]
    for truth in (849, 951):
        assert 0 < np.sum(hypergeom.pmf(reproduced, total, truth, n)) <= 0.05


def test_a_true_claim_is_refuted_no_more_often_than_one_time_in_twenty() -> None:
    claim, n, total = ReportedValue(0.9, 0.0), 300, 1000
    refuted = [k for k in range(n + 1) if decided(simple(k, n, total), 0.02, claim=claim).status == "not_reproduced"]
    for truth in range(880, 921, 4):
        assert np.sum(hypergeom.pmf(refuted, total, truth, n)) <= 0.05


def test_a_run_stopped_early_is_decided_by_its_confidence_sequence() -> None:
    fixed, early = decided(simple(2295, 2500), 0.02), decided(simple(2295, 2500), 0.02, early_stopping=True)
    sequence = ConfidenceSequence(N, n=2500, correct=2295).interval
    assert early.interval_90 == early.interval_95 == (sequence.low, sequence.high)
    assert early.interval_method is IntervalMethod.prior_posterior_ratio
    assert early.interval_95[1] - early.interval_95[0] > fixed.interval_95[1] - fixed.interval_95[0]
    assert early.p_inside == fixed.p_inside
    barely = decided(simple(1836, 2000), early_stopping=True)
    assert barely.status == "inconclusive"
    assert barely.more_examples_needed is not None
    assert 0 < barely.more_examples_needed <= N - 2000


def test_the_size_of_the_split_makes_the_difference_between_the_estimands() -> None:
    assert Measurement((Stratum(200, 184, N),)).population == N
    assert Measurement((Stratum(200, 184),), N).strata[0].total == N
    unknown = Measurement((Stratum(200, 184),))
    assert unknown.population is None
    assert decided(unknown, 0.05, estimand=Estimand.superpopulation).interval_method is IntervalMethod.wilson
    with pytest.raises(EstimandError):
        decided(unknown)


def test_early_stopping_needs_an_unstratified_slice_of_the_split() -> None:
    for measurement, estimand in [
        (balanced(1500, 1500, 1500), Estimand.finite_population),
        (simple(184, 200), Estimand.superpopulation),
    ]:
        with pytest.raises(EstimandError):
            decided(measurement, estimand=estimand, early_stopping=True)


@pytest.mark.parametrize(
    ("strata", "population"),
    [
        ((), None),
        ((), 10),
        ((Stratum(2, 1, 5),), 6),
        ((Stratum(2, 1, 5), Stratum(2, 1, 5)), 9),
        ((Stratum(2, 1), Stratum(2, 1)), None),
        ((Stratum(2, 1, 5), Stratum(2, 1)), None),
        ((Stratum(2, 1),), 1),
    ],
)
def test_measurements_that_do_not_add_up_are_refused(strata: tuple[Stratum, ...], population: int | None) -> None:
    with pytest.raises(ImpossibleCountsError):
        Measurement(strata, population)


@pytest.mark.parametrize("margin", [0.0, -0.01, 0.5, 1.0, float("nan"), float("inf")])
def test_a_margin_that_is_none_is_refused(margin: float) -> None:
    with pytest.raises(ValueError, match="margin"):
        decided(simple(184, 200), margin)


def test_a_printed_value_above_one_can_only_be_a_percentage() -> None:
    with pytest.raises(PrintedValueError):
        ReportedValue.from_printed(Decimal("91.8"), "fraction")


def test_suspect_labels_are_refused_before_a_verdict() -> None:
    with pytest.raises(LabelMapSuspectError):
        refuse_suspect_labels(np.array([[240, 2933, 306], [286, 200, 2637], [2743, 260, 210]]))
    refuse_suspect_labels(np.array([[240, 2933, 306], [286, 200, 2637], [2743, 260, 210]])[[2, 0, 1]])
