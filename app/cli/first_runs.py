"""What `verdicts up --reproduce` has run: the drivers that have no verdict yet."""

from collections import Counter
from fnmatch import fnmatch
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.cli.failures import CommandError
from app.cli.follow import PATIENCE_S, Follower
from app.cli.local.runs import LocalRuns
from app.cli.service import session_of
from app.cli.show import console
from app.cli.verdict_panel import verdict_panel
from app.client.models import Reproduction
from app.client.models import Verdict as ShownVerdict
from app.core.settings import Settings
from app.models import Claim, Driver, Paper, Verdict, VerdictKind
from app.protocol.driver import DriverSpec

_STATUSES: Final = ("reproduced", "not_reproduced", "inconclusive")


def reproduce_missing(settings: Settings, patterns: list[str]) -> str | None:
    """Run the drivers that match and have no verdict, one after another; returns the paper of the last one.

    Raises CommandError where a pattern matches none.
    """
    with session_of(settings) as session:
        rows = session.execute(
            select(Driver, Paper.arxiv_id)
            .join(Claim, Claim.id == Driver.claim_id)
            .join(Paper, Paper.id == Claim.paper_id)
            .order_by(Driver.slug)
        ).all()
        known = {driver.slug: _standing(session, driver) for driver, _ in rows}
    matching: dict[str, tuple[Driver, str]] = {}
    for pattern in patterns:
        found = {driver.slug: (driver, arxiv_id) for driver, arxiv_id in rows if fnmatch(driver.slug, pattern)}
        if not found:
            raise CommandError(f"no driver matches {pattern!r}; `verdicts drivers` lists them")
        matching |= found
    _summarise([verdict.status for slug in matching if (verdict := known[slug]) is not None])
    source = LocalRuns(settings.data_dir, settings)
    for driver, arxiv_id in matching.values():
        if known[driver.slug] is None:
            _run_driver(source, driver, arxiv_id)
    return next(reversed([arxiv_id for _, arxiv_id in matching.values()]), None)


def _summarise(statuses: list[str]) -> None:
    if statuses:
        counts = Counter(statuses)
        words = ", ".join(f"{counts[one]} {one.replace('_', ' ')}" for one in _STATUSES if counts[one])
        console.print(f"verdicts {len(statuses)} stand from before: {words}; the pages show them", highlight=False)


def _run_driver(source: LocalRuns, driver: Driver, arxiv_id: str) -> None:
    kind = DriverSpec.model_validate(driver.spec).kind
    text, _ = source.ask(arxiv_id, {"claim": driver.claim_id, "driver": driver.slug, "kind": kind})
    text = Follower(source, PATIENCE_S).watch(Reproduction.model_validate_json(text).id)
    console.print(verdict_panel(ShownVerdict.model_validate_json(text)))


def _standing(session: Session, driver: Driver) -> Verdict | None:
    kind = VerdictKind(DriverSpec.model_validate(driver.spec).kind)
    return session.scalar(
        select(Verdict).where(
            Verdict.claim_id == driver.claim_id,
            Verdict.kind == kind,
            Verdict.is_current,
            Verdict.agent_version == driver.agent_version,
        )
    )
