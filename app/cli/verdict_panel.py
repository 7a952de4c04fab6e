"""One verdict in a terminal: what was reported, what was measured, and how the one follows from the other."""

from collections.abc import Iterator
from typing import Final

from rich.panel import Panel
from rich.text import Text

from app.cli.numbers import as_printed, points, share, span
from app.cli.show import any_text, boxed, status_text
from app.client.models import Decision, RunningEstimate, Verdict

_ESTIMAND: Final = {"finite_population": "on this split", "superpopulation": "for new items"}


def verdict_panel(verdict: Verdict) -> Panel:
    """The verdict with its numbers."""
    return boxed(verdict.paper_arxiv_id, _lines(verdict))


def estimate_text(estimate: RunningEstimate | None) -> str:
    """What a run says so far."""
    if estimate is None:
        return ""
    low, high = (100 * end for end in estimate.interval_95)
    return f"{share(estimate.value)} [{low:.2f}, {high:.2f}]"


def _lines(verdict: Verdict) -> Iterator[Text]:
    cited, decision, axes = verdict.claim_citation, verdict.estimate, verdict.protocol_axes
    yield Text.assemble(status_text(verdict.status), f"  confidence {verdict.confidence:g}")
    if decision:
        yield any_text(_confidence(decision, verdict.protocol_match), style="dim")
    yield Text("")
    yield any_text(f"claim      {cited.row}, {cited.column} ({cited.section})")
    yield any_text(f"reported   {as_printed(cited.reported_value)} {cited.reported_metric}")
    if decision:
        yield from map(any_text, _decided(decision))
    else:
        yield any_text(f"measured   {share(verdict.score)}")
    if axes:
        protocol = f"model {axes.model}, data {axes.data}, metric {axes.metric}, inference {axes.inference}"
        yield any_text(f"protocol   {verdict.protocol_match}: {protocol}")
    yield any_text(f"verdict    {verdict.id} (number {verdict.sequence} of kind {verdict.kind})", style="dim")


def _confidence(decision: Decision, match: str) -> str:
    """What the number means: docs/decision-rule.md."""
    inside, outside = decision.p_inside, 1 - decision.p_inside
    is_inside = decision.status == "reproduced" or (decision.status == "inconclusive" and inside >= outside)
    p, side = (inside, "inside") if is_inside else (outside, "outside")
    protocol = f"times {decision.ceiling:g} for the protocol ({match})"
    return f"probability {p:.4f} that the value is {side} the margin, {protocol}"


def _decided(decision: Decision) -> Iterator[str]:
    allowed = (decision.reported - decision.margin, decision.reported + decision.margin)
    yield f"margin     {span(allowed)}, which is reported ± {points(decision.margin)}"
    where = _ESTIMAND.get(decision.estimand, decision.estimand)
    yield f"measured   {share(decision.estimate)} {where}"
    if decision.interval_95[0] == decision.interval_95[1]:
        yield "intervals  none: every example of the split was measured, there is no sampling error"
        return
    inside = allowed[0] <= decision.interval_90[0] and decision.interval_90[1] <= allowed[1]
    outside = decision.interval_95[1] < allowed[0] or decision.interval_95[0] > allowed[1]
    yield f"90 % int.  {span(decision.interval_90)}: {'inside' if inside else 'not inside'} the margin"
    yield f"95 % int.  {span(decision.interval_95)}: {'outside' if outside else 'not wholly outside'} the margin"
    if decision.more_examples_needed:
        yield f"undecided  about {decision.more_examples_needed:,} more examples would decide"
