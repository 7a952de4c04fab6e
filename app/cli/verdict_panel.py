"""One verdict in a terminal: what was reported, what was measured, and how the one follows from the other."""

from collections.abc import Iterator
from typing import Final

from rich.panel import Panel
from rich.text import Text

from app.cli.numbers import notation_of, reported, shown
from app.cli.show import boxed, facts, recount_of, status_text
from app.client.models import Decision, RunningEstimate, Verdict
from app.statistics.written import Notation, confidence

_ESTIMAND: Final = {"finite_population": "on this split", "superpopulation": "for new items"}


def verdict_panel(verdict: Verdict) -> Panel:
    """The verdict with its numbers."""
    head = Text.assemble(status_text(verdict.status), f"  confidence {confidence(verdict.confidence)}")
    recount = recount_of(verdict.protocol_axes.model if verdict.protocol_axes else None)
    return boxed(verdict.paper_arxiv_id, [head, *recount, Text(""), facts(_facts(verdict))])


def estimate_text(estimate: RunningEstimate, notation: Notation) -> str:
    """What a run says so far."""
    return shown(f"{notation.share(estimate.value)} [{notation.span(estimate.interval_95)}]")


def _facts(verdict: Verdict) -> Iterator[tuple[str, str]]:
    cited, decision, axes = verdict.claim_citation, verdict.estimate, verdict.protocol_axes
    notation = notation_of(cited.reported_value, decision)
    yield "claim", f"{cited.row}, {cited.column} ({cited.section})"
    yield "reported", f"{reported(cited.reported_value, notation)} ({cited.reported_metric})"
    if decision:
        yield from decided(decision, notation)
        yield "confidence", _meant(decision, verdict.protocol_match)
    else:
        yield "measured", shown(notation.share(verdict.score))
    if axes:
        protocol = f"model {axes.model}, data {axes.data}, metric {axes.metric}, inference {axes.inference}"
        yield "protocol", f"{verdict.protocol_match}: {protocol}"
    yield "verdict", f"{verdict.id} (number {verdict.sequence} of kind {verdict.kind})"


def decided(decision: Decision, notation: Notation) -> Iterator[tuple[str, str]]:
    """The numbers of the decision by their names, each with what follows from it."""
    return ((name, shown(words)) for name, words in _decided(decision, notation))


def _decided(decision: Decision, notation: Notation) -> Iterator[tuple[str, str]]:
    zone = notation.zone(decision.reported, decision.margin)
    yield "margin", f"{zone}: as reported ± {notation.margin(decision.margin)}"
    yield "measured", f"{notation.share(decision.estimate)} {_ESTIMAND.get(decision.estimand, decision.estimand)}"
    if decision.interval_95[0] == decision.interval_95[1]:
        yield "interval", "none: every example of the split was measured, so there is no sampling error"
    else:
        inside, outside = _consequences(decision)
        yield "90 % interval", notation.span(decision.interval_90) + inside
        yield "95 % interval", notation.span(decision.interval_95) + outside
    if decision.more_examples_needed:
        yield "undecided", f"about {decision.more_examples_needed:,} more examples would decide"


def _consequences(decision: Decision) -> tuple[str, str]:
    """What follows from the 90 % and from the 95 % interval, by the rule that made the verdict."""
    if decision.status == "reproduced":
        return ": inside the margin, so reproduced", ""
    if decision.status == "not_reproduced":
        return "", f": wholly {decision.direction or 'outside'} the margin, so not reproduced"
    return ": not inside the margin", ": not outside of it either, so inconclusive"


def _meant(decision: Decision, match: str) -> str:
    """What the number means: docs/decision-rule.md."""
    inside, outside = decision.p_inside, 1 - decision.p_inside
    is_inside = decision.status == "reproduced" or (decision.status == "inconclusive" and inside >= outside)
    p, side = (inside, "inside") if is_inside else (outside, "outside")
    return f"probability {p:.4f} of being {side} the margin, times {decision.ceiling:g} for the protocol ({match})"
