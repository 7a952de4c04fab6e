"""A database as it looks after years: many papers, one of them with a long history, many runs. Filled by plain SQL."""

from dataclasses import dataclass
from typing import Final

import psycopg

PROBE: Final = "0901.00001"
"""The paper with the history."""
RARE_CATEGORY, RARE_VENUE = "q-bio.NC", "Workshop of the few"
COMMON_WORD, RARE_WORD = "learning", "quokka"

_PAPERS: Final = """
    INSERT INTO papers (id, arxiv_id, title, abstract, primary_category, venue, withdrawn, headline_status,
                        newest_verdict_at)
    SELECT uuidv7(),
           CASE n WHEN 0 THEN '0901.00001' ELSE format('%%s%%s.%%s', 10 + n / 1000000,
                  lpad((1 + n / 90000 %% 12)::text, 2, '0'), lpad((1 + n %% 90000)::text, 5, '0')) END,
           format('A paper about learning, number %%s', n),
           format('We report word%%s and term%%s for learning%%s. ', n %% 997, n %% 4999,
                  CASE WHEN n %% 1000 = 7 THEN ' quokka' ELSE '' END) || repeat('Further text of the abstract. ', 8),
           CASE WHEN n %% 1000 = 3 THEN 'q-bio.NC' ELSE 'cs.C' || (ARRAY['L', 'V', 'R', 'Y'])[1 + n %% 4] END,
           CASE WHEN n %% 1000 = 4 THEN 'Workshop of the few' WHEN n %% 3 = 0 THEN 'ACL' END,
           n %% 1000 = 5,
           CASE WHEN n %% 10 = 0 THEN (ARRAY['reproduced', 'not_reproduced', 'inconclusive'])[1 + n / 10 %% 3] END,
           CASE WHEN n %% 10 = 0 THEN timestamptz '2020-01-01Z' + n * interval '1 second' ELSE to_timestamp(0) END
    FROM generate_series(0, %(papers)s - 1) AS n
"""
_VERSIONS: Final = "INSERT INTO paper_versions (id, paper_id, version) SELECT uuidv7(), id, 1 FROM papers"
_DOCUMENTS: Final = """
    INSERT INTO paper_documents (paper_id, etag, body, written_at)
    SELECT id, '"' || md5(arxiv_id) || '"', convert_to('{"paper":"' || arxiv_id || '"}', 'UTF8'), now() FROM papers
"""
_CLAIM: Final = """
    WITH made AS (
        INSERT INTO claims (id, paper_id, paper_version_id, section, "row", "column", reported_value, decimals, unit,
                            reported_metric, quoted_text)
        SELECT uuidv7(), p.id, v.id, 'Table 1', 'Model', 'MNLI-m', 91.8, 1, 'percent', 'accuracy', '91.8'
        FROM papers p JOIN paper_versions v ON v.paper_id = p.id WHERE p.arxiv_id = '0901.00001'
        RETURNING id, paper_id
    )
    UPDATE papers SET headline_claim_id = made.id FROM made WHERE papers.id = made.paper_id
"""
_VERDICTS: Final = """
    WITH ids AS MATERIALIZED (
        SELECT n, uuidv7() AS id FROM generate_series(1, %(history)s) AS n
    ), chain AS (
        SELECT n, id, lag(id) OVER (ORDER BY n) AS before, lead(id) OVER (ORDER BY n) AS after FROM ids
    )
    INSERT INTO verdicts (id, paper_id, paper_version_id, claim_id, kind, sequence, origin, status, score, confidence,
                          agent_version, computed_at, protocol_match, is_current, supersedes_id, superseded_by_id,
                          superseded_at)
    SELECT chain.id, c.paper_id, c.paper_version_id, c.id, 'POST', n, 'imported',
           CASE WHEN n %% 1000 = 1 THEN 'not_reproduced' ELSE 'reproduced' END, 0.91, 0.85, 'v0.1.0-growth',
           timestamptz '2021-01-01Z' + n * interval '1 second', 'proxy', after IS NULL, before, after,
           CASE WHEN after IS NOT NULL THEN now() END
    FROM chain, claims c
"""
_DRIVER: Final = """
    INSERT INTO drivers (id, slug, claim_id, agent_version, spec, spec_digest, updated_at)
    SELECT uuidv7(), 'growth', id, 'v0.1.0-growth', %(spec)s, 'x', now() FROM claims
"""
_RUNS: Final = """
    WITH ids AS (SELECT n, uuidv7() AS id, uuidv7() AS evidence FROM generate_series(1, %(runs)s) AS n),
    proof AS (INSERT INTO evidence (id) SELECT evidence FROM ids)
    INSERT INTO reproductions (id, paper_id, paper_version_id, claim_id, driver_id, kind, state, spec, config_digest,
                               forced, priority, requested_at, deadline_at, not_before, rung_at, attempt, max_attempts,
                               fence, progress_done, progress_correct, evidence_id, error, finished_at)
    SELECT ids.id, c.paper_id, c.paper_version_id, c.id, d.id, 'POST',
           CASE WHEN n %% 1000 = 1 THEN 'queued' ELSE 'failed' END, d.spec, 'x', true, 5, now(),
           now() + interval '1 day', now(), now(), 1, 3, 1, 0, 0, evidence,
           CASE WHEN n %% 1000 <> 1 THEN
               '{"code": "x", "type": "x", "title": "x", "detail": "x", "retryable": false}'::jsonb END,
           CASE WHEN n %% 1000 <> 1 THEN now() END
    FROM ids, claims c, drivers d
"""
_GUARDED: Final = ("papers", "paper_versions", "paper_documents", "claims", "verdicts", "reproductions", "evidence")


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is."""

    papers: int
    history: int
    runs: int = 0


def grow(dsn: str, size: Size, spec: str = "{}") -> None:
    """Fill a fresh database. The guards look at each row, so they are off meanwhile; keys and checks stay on."""
    with psycopg.connect(dsn) as connection:
        for table in _GUARDED:
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        numbers = {"papers": size.papers, "history": size.history, "runs": size.runs, "spec": spec}
        for statement in (_PAPERS, _VERSIONS, _DOCUMENTS, _CLAIM, _VERDICTS, _DRIVER, _RUNS):
            connection.execute(statement, numbers)
        connection.commit()  # foreign keys that are checked at the end have to be checked by now
        for table in _GUARDED:
            connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")
