"""Plan a measurement: the examples it takes, and what they would cost. Nothing is run and nothing written."""

from decimal import Decimal
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.designs.errors import DesignValueError
from app.designs.schemas import DesignCost, DesignPost, DesignRead
from app.drivers.queries import find_driver
from app.models import Driver, Reproduction, ReproductionState
from app.protocol.driver import Estimand
from app.statistics.design import exact_power, smallest_size
from app.statistics.printed import PrintedValueError, ReportedValue

RECENT: Final = 20
"""So many of a driver's latest runs say how fast it is: hosts and drivers change."""
_DECIMALS: Final = 12
"""0.02 + 0.0005 is 0.0205, without the noise of floating point, as in the decision itself."""


def plan(session: Session, post: DesignPost) -> DesignRead:
    """The smallest simple slice with the power asked for. Raises DesignValueError, DriverNotFoundError."""
    try:
        claim = ReportedValue.from_printed(Decimal(post.reported_value), post.unit)
    except PrintedValueError as error:
        detail = f"{error}."
        raise DesignValueError(detail) from error
    margin = round(post.margin + claim.half_digit, _DECIMALS)
    n = smallest_size(rate=claim.value, margin=margin, population=post.population, power=post.power)
    power = exact_power(n, rate=claim.value, margin=margin, population=post.population) if n is not None else None
    # Only now, so that no connection is held while the numbers are worked out.
    driver = find_driver(session, post.driver) if post.driver is not None else None
    return DesignRead(
        n=n,
        power=power,
        population=post.population,
        estimand=Estimand.superpopulation if post.population is None else Estimand.finite_population,
        margin=margin,
        rule_version=post.rule_version,
        cost=_cost(session, driver, n) if driver is not None and n is not None else None,
    )


def _cost(session: Session, driver: Driver, n: int) -> DesignCost | None:
    """From the driver's latest successful runs; one that was taken up again also waited, and says nothing."""
    seconds = func.extract("epoch", Reproduction.finished_at - Reproduction.started_at)
    recent = (
        select(Reproduction.progress_done.label("done"), seconds.label("seconds"))
        .where(
            Reproduction.driver_id == driver.id,
            Reproduction.state == ReproductionState.succeeded,
            Reproduction.attempt == 1,
        )
        .order_by(Reproduction.id.desc())
        .limit(RECENT)
        .subquery()
    )
    totals = select(func.count(), func.sum(recent.c.done), func.sum(recent.c.seconds))
    runs, done, took = session.execute(totals).one()
    if not done or not took:
        return None
    speed = float(done) / float(took)
    return DesignCost(driver=driver.slug, runs=runs, examples_per_second=speed, seconds=n / speed)
