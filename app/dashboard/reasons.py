"""Why a verdict's status is what it is, and where its confidence comes from: sentences with the numbers in them."""

from typing import Any

from app.claims.schemas import ClaimRead
from app.dashboard import numbers, words
from app.verdicts.schemas import VerdictRead


def reasons_of(verdict: VerdictRead, claim: ClaimRead) -> list[str]:
    """The decision first, then the confidence, then what was estimated and how."""
    estimate = verdict.estimate
    if not estimate:
        return ["It came with an imported paper document, which states neither a margin nor an interval."]
    return [_decision(estimate, verdict.status, claim), *_confidence(estimate, verdict)]


def intervals_of(estimate: dict[str, Any] | None, claim: ClaimRead) -> list[tuple[str, str]]:
    """The intervals by their names; none where they have no width, as no item is left to measure."""
    if not estimate or _is_exact(estimate):
        return []
    if estimate["interval_method"] == "prior_posterior_ratio":
        return [("Anytime-valid interval", _interval(estimate, "95", claim))]
    return [(f"{level} % interval", _interval(estimate, level, claim)) for level in ("90", "95")]


def _interval(estimate: dict[str, Any], level: str, claim: ClaimRead) -> str:
    low, high = estimate[f"interval_{level}"]
    return numbers.span(low, high, claim.unit, numbers.digits_of(claim))


def _decision(estimate: dict[str, Any], status: str, claim: ClaimRead) -> str:
    margin = numbers.margin(estimate["margin"], claim.unit)
    zone = numbers.Notation.of(claim).zone(estimate["reported"], estimate["margin"])
    allowed = f"from {zone}, which is the reported value ±{numbers.NARROW}{margin}"
    if _is_exact(estimate):
        side = "inside" if status == "reproduced" else estimate["direction"]
        return (
            "There is no sampling error, as every item of the split was measured: "
            f"the value lies {side} the margin, {allowed}."
        )
    anytime = estimate["interval_method"] == "prior_posterior_ratio"
    narrow, wide = ("The anytime-valid interval",) * 2 if anytime else ("The 90 % interval", "The 95 % interval")
    if status == "reproduced":
        return f"{narrow}, {_interval(estimate, '90', claim)}, lies wholly inside the margin: {allowed}."
    if status == "not_reproduced":
        where = f"lies wholly {estimate['direction']} the margin"
        return f"{wide}, {_interval(estimate, '95', claim)}, {where}: {allowed}."
    more = estimate.get("more_examples_needed")
    ending = (
        f" About {numbers.whole(more)} more examples would decide it at this rate."
        if more
        else " No number of further examples of this split would decide it at this rate."
    )
    across = f"reaches across an edge of the margin: {allowed}."
    return f"{narrow}, {_interval(estimate, '90', claim)}, {across}{ending}"


def _confidence(estimate: dict[str, Any], verdict: VerdictRead) -> list[str]:
    inside, ceiling = estimate["p_inside"], estimate["ceiling"]
    belief = {"reproduced": inside, "not_reproduced": 1 - inside}.get(verdict.status, max(inside, 1 - inside))
    where = {"reproduced": "inside", "not_reproduced": "outside"}.get(
        verdict.status,
        "inside" if inside >= 0.5 else "outside",  # noqa: PLR2004  # the larger of the two
    )
    belief_text = (
        f"Confidence {numbers.confidence(verdict.confidence)} is the posterior probability that the value lies {where} "
        f"the margin, {belief:.4f}, times the ceiling of a protocol match “{verdict.protocol_match}”, {ceiling:g}."
    )
    return [belief_text, _rule(estimate)]


def _rule(estimate: dict[str, Any]) -> str:
    what, version = words.ESTIMAND[estimate["estimand"]], f"decision rule version {estimate['rule_version']}"
    if _is_exact(estimate):
        return f"What was measured is {what}; {version}."
    method = words.METHOD.get(estimate["interval_method"], estimate["interval_method"])
    return f"What is estimated is {what}; interval: {method}, {version}."


def _is_exact(estimate: dict[str, Any]) -> bool:
    """Whether the interval has no width, as no item is left to measure."""
    return bool(estimate["interval_95"][0] == estimate["interval_95"][1])
