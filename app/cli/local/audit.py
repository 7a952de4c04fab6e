"""The audit log of this machine's database."""

from app.access.audit import list_audit
from app.cli.local.base import Local


class LocalLog(Local):
    """As `app.cli.source.Log`."""

    def audit(self, subject: str | None, limit: int, cursor: str | None) -> str:
        """A page of the audit log."""
        with self.session() as session:
            return list_audit(session, limit, cursor, subject).model_dump_json()
