"""What a verdict looks like in a terminal: one unit throughout, and how the verdict follows from the numbers."""

import json
from io import StringIO
from pathlib import Path
from typing import Any, Final

import pytest
from rich.console import Console
from rich.panel import Panel

from app.cli.document_panel import document_panel
from app.cli.verdict_panel import verdict_panel
from app.client.models import DocumentVerdict, PaperDocument, Verdict

EXAMPLES: Final = Path(__file__).resolve().parents[2] / "app" / "examples.json"


def shown(status: str, printed_value: float = 91.8, **decision: Any) -> str:  # noqa: ANN401  # fields of the decision
    return printed(verdict_panel(verdict_of(status, printed_value, **decision)))


def printed(panel: Panel) -> str:
    """What stands in a box, however it is wrapped."""
    out = StringIO()
    Console(file=out, width=110).print(panel)
    return " ".join(out.getvalue().replace("│", " ").split())


def verdict_of(status: str, value: float, model: str = "proxy", **decision: Any) -> Verdict:  # noqa: ANN401  # as above
    verdict = json.loads(EXAMPLES.read_text(encoding="utf-8"))["VerdictRead"]
    verdict["claim_citation"]["reported_value"] = value
    verdict["protocol_axes"]["model"] = model
    known = {"reported": 0.918, "delta": 0.02, "margin": 0.0205, "estimate": 0.9133, "ceiling": 0.85, "p_inside": 0.99}
    intervals = {"interval_90": (0.90, 0.92), "interval_95": (0.89, 0.93), "more_examples_needed": None}
    verdict["estimate"] |= {**known, **intervals, "status": status, "direction": None, **decision}
    return Verdict.model_validate({**verdict, "status": status})


def test_a_verdict_that_is_reproduced() -> None:
    out = shown("reproduced")
    assert "91.8 % (accuracy)" in out
    assert "89.75 to 93.85 %: as reported ± 2.05 points" in out
    assert "91.33 % on this split" in out
    assert "90.00 to 92.00 %: inside the margin, so reproduced" in out
    assert "89.00 to 93.00 %" in out
    assert "probability 0.9900 of being inside the margin, times 0.85 for the protocol (proxy)" in out
    assert "0.91" not in out  # nothing stands there as a fraction


def test_a_recount_is_told_from_a_run_of_the_model() -> None:
    words = "reproduced confidence 0.85 a recount of the authors' published predictions: no model was run"
    assert words in shown("reproduced", model="released_predictions")
    assert "recount" not in shown("reproduced", model="proxy")
    whole = verdict_of("reproduced", 91.8, model="released_predictions")
    document = json.loads(EXAMPLES.read_text(encoding="utf-8"))["PaperDocumentRead"]
    document["verdicts"]["post"] = document["verdict"] = {
        **(document["verdict"] or {}),
        **{name: whole.model_dump(mode="json")[name] for name in DocumentVerdict.model_fields},
    }
    assert words.partition("a recount")[2] in printed(document_panel(PaperDocument.model_validate(document), [whole]))


@pytest.mark.parametrize(
    ("status", "decision", "words"),
    [
        (
            "not_reproduced",
            {"direction": "below", "p_inside": 0.01},
            ["wholly below the margin, so not reproduced", "probability 0.9900 of being outside the margin"],
        ),
        (
            "inconclusive",
            {"more_examples_needed": 1234, "p_inside": 0.4},
            [
                "not inside the margin",
                "not outside of it either, so inconclusive",
                "1,234 more examples",
                "probability 0.6000 of being outside",
            ],
        ),
        ("reproduced", {"interval_90": (0.91, 0.91), "interval_95": (0.91, 0.91)}, ["there is no sampling error"]),
    ],
)
def test_what_follows_from_what(status: str, decision: dict[str, Any], words: list[str]) -> None:
    out = shown(status, **decision)
    assert [one for one in words if one not in out] == []


@pytest.mark.parametrize(
    ("printed", "reported", "delta", "margin", "words"),
    [
        (84.4, 0.844, 0.01, 0.01005, ["84.40 % (", "83.395 to 85.405 %: as reported ± 1.005 points", "84.600 % on"]),
        (84.4, 0.844, 0.01, 0.0105, ["84.4 % (", "83.35 to 85.45 %: as reported ± 1.05 points", "84.60 % on"]),
        (0.9, 0.9, 0.01, 0.06, ["0.9 (", "0.8400 to 0.9600: as reported ± 0.0600", "0.8460 on"]),
        (0.9, 0.009, 0.001, 0.0015, ["0.9 % (", "0.75 to 1.05 %: as reported ± 0.15 points"]),
        (
            0.8484971981660724,
            0.8484971981660724,
            0.01,
            0.01,
            ["0.848497, printed as 0.8484971981660724 (", "0.838497 to 0.858497: as reported ± 0.0100", "0.846000 on"],
        ),
    ],
)
def test_numbers_stand_in_the_papers_unit_with_digits_that_can_be_held_against_each_other(
    printed: float, reported: float, delta: float, margin: float, words: list[str]
) -> None:
    out = shown("reproduced", printed, reported=reported, delta=delta, margin=margin, estimate=0.846)
    assert [one for one in words if one not in out] == []
