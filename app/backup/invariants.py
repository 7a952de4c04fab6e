"""What the database's triggers refuse, asked of rows that came in without them."""

from typing import Any, Final

import psycopg

from app.backup.errors import BackupError

INVARIANTS: Final = {
    "version numbers have no gaps": """
        SELECT 1 FROM paper_versions GROUP BY paper_id HAVING max(version) <> count(*)
    """,
    "sequence numbers of verdicts have no gaps": """
        SELECT 1 FROM verdicts GROUP BY claim_id, kind HAVING max(sequence) <> count(*)
    """,
    "a verdict supersedes the one before it in its line": """
        SELECT 1 FROM verdicts v LEFT JOIN verdicts p ON p.id = v.supersedes_id
        WHERE v.sequence > 1 AND (p.claim_id, p.kind, p.sequence, p.superseded_by_id)
            IS DISTINCT FROM (v.claim_id, v.kind, v.sequence - 1, v.id)
    """,
    "a verdict is superseded by the next one of its line": """
        SELECT 1 FROM verdicts v LEFT JOIN verdicts n ON n.id = v.superseded_by_id
        WHERE v.superseded_by_id IS NOT NULL AND n.supersedes_id IS DISTINCT FROM v.id
    """,
    "a verdict comes from a successful run and says what that run measured": """
        SELECT 1 FROM verdicts v LEFT JOIN reproductions r ON r.id = v.reproduction_id
        WHERE v.reproduction_id IS NOT NULL AND (r.state, r.claim_id, r.kind, r.paper_version_id, r.evidence_id)
            IS DISTINCT FROM ('succeeded', v.claim_id, v.kind, v.paper_version_id, v.evidence_id)
    """,
    "a run succeeds by its verdict": """
        SELECT 1 FROM reproductions r
        WHERE r.state = 'succeeded' AND NOT EXISTS (SELECT 1 FROM verdicts WHERE reproduction_id = r.id)
    """,
}


def check_invariants(connection: psycopg.Connection[Any]) -> None:
    """Raise BackupError where the rows are not what the triggers would have let in."""
    for rule, broken in INVARIANTS.items():
        if connection.execute(broken + " LIMIT 1").fetchone() is not None:
            msg = f"the backup breaks a rule of the database ({rule}); nothing was restored"
            raise BackupError(msg)
