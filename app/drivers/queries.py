"""Reading drivers."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.pagination import Page, decode_cursor, encode_cursor
from app.drivers.errors import DriverMismatchError, DriverNotFoundError, NoDriverError
from app.drivers.schemas import DriverRead
from app.models import Claim, Driver, Paper
from app.protocol.axes import ProtocolAxes

_READ = select(Driver, Paper.arxiv_id).join(Claim, Claim.id == Driver.claim_id).join(Paper, Paper.id == Claim.paper_id)


def _read(driver: Driver, arxiv_id: str) -> DriverRead:
    return DriverRead(
        slug=driver.slug,
        agent_version=driver.agent_version,
        paper_arxiv_id=arxiv_id,
        claim_id=driver.claim_id,
        description=driver.spec["description"],
        protocol_match=ProtocolAxes.model_validate(driver.spec["protocol"]).match,
        spec=driver.spec,
        spec_digest=driver.spec_digest,
        updated_at=driver.updated_at,
    )


def read_driver(session: Session, slug: str) -> DriverRead:
    """One driver. Raises DriverNotFoundError."""
    row = session.execute(_READ.where(Driver.slug == slug)).one_or_none()
    if row is None:
        detail = f"There is no driver {slug!r}; GET /v1/drivers lists them."
        raise DriverNotFoundError(detail)
    return _read(*row)


def list_drivers(session: Session, limit: int, cursor: str | None) -> Page[DriverRead]:
    """A page of drivers by slug."""
    after = decode_cursor("drivers", cursor, lambda key: key[0])
    query = _READ.order_by(Driver.slug).limit(limit + 1)
    query = query.where(Driver.slug > after) if after is not None else query
    rows = session.execute(query).all()
    following = encode_cursor("drivers", [rows[limit - 1][0].slug]) if len(rows) > limit else None
    return Page(items=[_read(driver, arxiv_id) for driver, arxiv_id in rows[:limit]], next_cursor=following)


def find_driver(session: Session, slug: str) -> Driver:
    """The driver with this slug. Raises DriverNotFoundError."""
    driver = session.scalar(select(Driver).where(Driver.slug == slug))
    if driver is None:
        detail = f"There is no driver {slug!r}; GET /v1/drivers lists them."
        raise DriverNotFoundError(detail)
    return driver


def find_driver_for(session: Session, claim: Claim, slug: str | None) -> Driver:
    """The driver to re-measure the claim with: the named one, or the only one there is for it.

    Raises DriverNotFoundError, DriverMismatchError or NoDriverError.
    """
    if slug is not None:
        driver = find_driver(session, slug)
        if driver.claim_id != claim.id:
            detail = (
                f"{slug} re-measures claim {driver.claim_id}, not {claim.id}; leave out the claim, or name that one."
            )
            raise DriverMismatchError(detail)
        return driver
    drivers = session.scalars(select(Driver).where(Driver.claim_id == claim.id).order_by(Driver.slug)).all()
    if not drivers:
        detail = (
            f"Nothing re-measures claim {claim.id} yet. GET /v1/drivers lists the claims that something re-measures. "
            "Measure it yourself and POST the evidence to its paper's /verdicts, or ask whoever runs this service "
            "for a driver."
        )
        raise NoDriverError(detail)
    if len(drivers) > 1:
        detail = f"Several drivers re-measure this claim; name one: {', '.join(d.slug for d in drivers)}."
        raise DriverMismatchError(detail)
    return drivers[0]
