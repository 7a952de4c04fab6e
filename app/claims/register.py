"""Register a claim: check that the number can be, and let the first one speak for the paper."""

from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.access.audit import record
from app.claims.errors import ClaimExistsError, ClaimValueError, GrimError
from app.claims.schemas import ClaimPost
from app.models import Claim, Paper, PaperVersion
from app.papers.document import write_document
from app.statistics.grim import grim


def register_claim(session: Session, paper: Paper, version: PaperVersion, post: ClaimPost) -> Claim:
    """Add the claim to the locked paper. The first claim becomes the headline.

    Raises ClaimValueError, GrimError or ClaimExistsError; nothing is written then.
    """
    value = Decimal(post.reported_value)
    refuse_impossible(post, value)
    known = find_claim(session, paper, post, value)
    if known is not None:
        detail = f"This number of this cell is claim {known.id}; use it."
        raise ClaimExistsError(detail, headers={"Location": f"/v1/claims/{known.id}"})
    claim = Claim(
        paper_id=paper.id,
        paper_version_id=version.id,
        reported_value=value,
        decimals=decimals_of(value),
        **post.model_dump(exclude={"reported_value", "force"}),
    )
    session.add(claim)
    session.flush()
    facts = {"paper": paper.arxiv_id, "value": post.reported_value, "forced": post.force}
    record(session, "claim.registered", f"claims/{claim.id}", facts)
    if paper.headline_claim_id is None:
        paper.headline_claim_id = claim.id
        write_document(session, paper)
    return claim


def decimals_of(value: Decimal) -> int:
    """How many decimals the value was printed with."""
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def find_claim(session: Session, paper: Paper, post: ClaimPost, value: Decimal) -> Claim | None:
    """The registered claim for this number of this cell."""
    return session.scalar(
        select(Claim).where(
            Claim.paper_id == paper.id,
            Claim.section == post.section,
            Claim.row == post.row,
            Claim.column == post.column,
            Claim.reported_metric == post.reported_metric,
            Claim.reported_value == value,
        )
    )


def refuse_impossible(post: ClaimPost, value: Decimal) -> None:
    """Raise for a number outside its unit's range, or one that no k out of `n_items` rounds to."""
    top = 100 if post.unit == "percent" else 1
    if value > top:
        hint = " A value above 1 is a percentage: say unit `percent`." if post.unit == "fraction" else ""
        detail = f"{post.reported_value} is above {top}, the most that a {post.unit} can be.{hint}"
        raise ClaimValueError(detail)
    if post.n_items is None or post.force or post.reported_metric != "accuracy":
        return
    result = grim(value, post.n_items, unit=post.unit)
    if not result.possible:
        nearest = " and ".join(str(near) for near in result.nearest)
        detail = (
            f"No k/{post.n_items} rounds to {post.reported_value}; the nearest possible values are {nearest}. "
            "Check the value and n_items, or register it all the same with `force`."
        )
        raise GrimError(detail)
