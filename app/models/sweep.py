"""What sweeps did."""

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class SweepCount(Base):
    """How often the sweeps of all processes did one thing.

    Unlogged: after a crash of the server they count from 0, as those who read counters expect of them.
    """

    __tablename__ = "sweep_counts"
    __table_args__ = {"prefixes": ["UNLOGGED"]}  # noqa: RUF012  # SQLAlchemy's own convention

    action: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)
