"""Verdicts of this machine's database."""

from uuid import UUID

from app.cli.local.base import Local
from app.verdicts.queries import read_verdict


class LocalVerdicts(Local):
    """As `app.cli.source.Verdicts`."""

    def whole_verdict(self, verdict_id: UUID) -> str:
        """A verdict with its decision."""
        with self.session() as session:
            return read_verdict(session, verdict_id).model_dump_json()
