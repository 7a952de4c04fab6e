"""A database as it looks after years: many papers, one of them with a long history, many runs. Filled by plain SQL."""

from dataclasses import dataclass
from typing import Final

import psycopg

PROBE, OTHER = "0901.00001", "0901.00002"
"""The papers with a history each: of POST verdicts and failed runs, and of PRE verdicts and waiting runs."""
RARE_CATEGORY, RARE_VENUE = "q-bio.NC", "Workshop of the few"
COMMON_WORD, RARE_WORD = "learning", "quokka"
MIDDLE_WORD, OTHER_MIDDLE_WORD = "wombat", "numbat"
"""In one paper of 137 and of 139: too many to sort, and too few to come upon while looking for a page of them."""

# What is rare stands together in the middle of every order: whoever walks an order until he has found five of them has
# far to go from either end.
_PAPERS: Final = """
    INSERT INTO papers (id, arxiv_id, title, abstract, primary_category, venue, withdrawn, headline_status,
                        newest_verdict_at)
    SELECT uuidv7(),
           CASE WHEN n < 2 THEN '0901.0000' || n + 1 ELSE format('%%s%%s.%%s', 10 + n / 1000000,
                  lpad((1 + n / 90000 %% 12)::text, 2, '0'), lpad((1 + n %% 90000)::text, 5, '0')) END,
           format('A paper about learning, number %%s', n),
           format('We report word%%s and term%%s for learning%%s%%s%%s. ', n %% 997, n %% 4999,
                  CASE WHEN n %% 1000 = 7 THEN ' quokka' ELSE '' END, CASE WHEN n %% 137 = 7 THEN ' wombat' ELSE '' END,
                  CASE WHEN n %% 139 = 7 THEN ' numbat' ELSE '' END) || repeat('Further text of the abstract. ', 8),
           CASE WHEN share BETWEEN 0.45 AND 0.50 THEN 'q-bio.NC'
                ELSE 'cs.C' || (ARRAY['L', 'V', 'R', 'Y'])[1 + n %% 4] END,
           CASE WHEN share BETWEEN 0.40 AND 0.45 THEN 'Workshop of the few' WHEN n %% 3 = 0 THEN 'ACL' END,
           share BETWEEN 0.50 AND 0.55,
           CASE WHEN share BETWEEN 0.55 AND 0.60 THEN NULL WHEN share BETWEEN 0.35 AND 0.40 THEN 'inconclusive'
                ELSE (ARRAY['reproduced', 'not_reproduced'])[1 + n %% 2] END,
           timestamptz '2020-01-01Z' + n * interval '1 second'
    FROM (SELECT n, n::float / %(papers)s AS share FROM generate_series(0, %(papers)s - 1) AS n) AS numbered
"""
_WORDS: Final = "SELECT fill_words()"
_VERSIONS: Final = "INSERT INTO paper_versions (id, paper_id, version) SELECT uuidv7(), id, 1 FROM papers"
_DOCUMENTS: Final = """
    INSERT INTO paper_documents (paper_id, etag, body, written_at)
    SELECT id, '"' || md5(arxiv_id) || '"', convert_to('{"paper":"' || arxiv_id || '"}', 'UTF8'), now() FROM papers
"""
_CLAIMS: Final = """
    WITH made AS (
        INSERT INTO claims (id, paper_id, paper_version_id, section, "row", "column", reported_value, decimals, unit,
                            reported_metric, quoted_text)
        SELECT uuidv7(), p.id, v.id, 'Table 1', 'Model', 'MNLI-m', 91.8, 1, 'percent', 'accuracy', '91.8'
        FROM papers p JOIN paper_versions v ON v.paper_id = p.id WHERE p.arxiv_id LIKE '0901.%'
        RETURNING id, paper_id
    )
    UPDATE papers SET headline_claim_id = made.id FROM made WHERE papers.id = made.paper_id
"""
_SUBJECTS: Final = """
    CREATE TEMPORARY VIEW subjects AS
    SELECT p.arxiv_id = '0901.00001' AS probe, c.* FROM claims c JOIN papers p ON p.id = c.paper_id
"""
_VERDICTS: Final = """
    WITH ids AS MATERIALIZED (
        SELECT s.*, s.id AS claim, n, uuidv7() AS verdict FROM subjects s, generate_series(1, %(history)s) AS n
    ), chain AS (
        SELECT *, lag(verdict) OVER line AS before, lead(verdict) OVER line AS after
        FROM ids WINDOW line AS (PARTITION BY claim ORDER BY n)
    )
    INSERT INTO verdicts (id, paper_id, paper_version_id, claim_id, kind, sequence, origin, status, score, confidence,
                          agent_version, computed_at, protocol_match, is_current, supersedes_id, superseded_by_id,
                          superseded_at)
    SELECT verdict, paper_id, paper_version_id, claim, CASE WHEN probe THEN 'POST' ELSE 'PRE' END, n, 'imported',
           CASE WHEN NOT probe AND n %% 5 > 0 THEN 'inconclusive' WHEN n = %(history)s / 2 THEN 'not_reproduced'
                ELSE 'reproduced' END,
           0.91, 0.85, 'v0.1.0-growth',
           timestamptz '2021-01-01Z' + n * interval '1 second' + CASE WHEN probe THEN '0' ELSE interval '1 year' END,
           'proxy', after IS NULL, before, after, CASE WHEN after IS NOT NULL THEN now() END
    FROM chain
"""
_DRIVERS: Final = """
    INSERT INTO drivers (id, slug, claim_id, agent_version, spec, spec_digest, updated_at)
    SELECT uuidv7(), 'growth' || row_number() OVER (), id, 'v0.1.0-growth', %(spec)s, 'x', now() FROM subjects
"""
_RUNS: Final = """
    WITH ids AS (
        SELECT s.*, s.id AS claim, n, uuidv7() AS run, uuidv7() AS proof, probe AND n %% 1000 <> 1 AS over
        FROM subjects s, generate_series(1, %(runs)s) AS n
    ), proofs AS (INSERT INTO evidence (id) SELECT proof FROM ids)
    INSERT INTO reproductions (id, paper_id, paper_version_id, claim_id, driver_id, kind, state, spec, config_digest,
                               forced, priority, requested_at, deadline_at, not_before, rung_at, attempt, max_attempts,
                               fence, progress_done, progress_correct, evidence_id, error, finished_at)
    SELECT run, paper_id, paper_version_id, claim, d.id, 'POST', CASE WHEN over THEN 'failed' ELSE 'queued' END, d.spec,
           'x', true, 5, now(), now() + interval '1 day', now(), now(), 1, 3, 1, 0, 0, proof,
           CASE WHEN over THEN '{"code": "x", "type": "x", "title": "x", "detail": "x", "retryable": false}'::jsonb END,
           CASE WHEN over THEN now() END
    FROM ids JOIN drivers d ON d.claim_id = claim
"""
_GUARDED: Final = ("papers", "paper_versions", "paper_documents", "claims", "verdicts", "reproductions", "evidence")


_LARGE: Final = ("papers", "paper_words")
_INDEXES: Final = """
    SELECT indexname, indexdef FROM pg_indexes
    WHERE tablename = ANY (%s) AND indexname NOT IN (SELECT conname FROM pg_constraint)
"""
"""To build an index of many rows at once costs a third of adding each of them to it."""
_FILL: Final = (_PAPERS, _WORDS, _VERSIONS, _DOCUMENTS, _CLAIMS, _SUBJECTS, _VERDICTS, _DRIVERS, _RUNS)


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is."""

    papers: int
    history: int
    """Verdicts of each of the two papers."""
    runs: int = 0
    """As many again of each."""


def grow(dsn: str, size: Size, spec: str = "{}") -> None:
    """Fill a fresh database. The guards look at each row, so they are off meanwhile; keys and checks stay on."""
    with psycopg.connect(dsn) as connection:
        for table in _GUARDED:
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        connection.execute("SET maintenance_work_mem = '1GB'")
        indexes = connection.execute(_INDEXES, [list(_LARGE)]).fetchall()
        for name, _ in indexes:
            connection.execute(f'DROP INDEX "{name}"')
        numbers = {"papers": size.papers, "history": size.history, "runs": size.runs, "spec": spec}
        for statement in _FILL:
            connection.execute(statement, numbers if "%(" in statement else None)
            if statement == _WORDS:
                for _, index in indexes:
                    connection.execute(index)
        connection.commit()  # foreign keys that are checked at the end have to be checked by now
        for table in _GUARDED:
            connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        connection.commit()
        connection.autocommit = True
        # A page is not marked as seen by all before the commit of its rows is flushed, and the planner counts them.
        connection.execute("SET synchronous_commit = on")
        connection.execute("SELECT pg_current_xact_id()")
        connection.execute("VACUUM (ANALYZE)")
