"""The words of each paper in the orders of the list, so that a search costs a page, however many papers have the word.

The index of the text search goes: it gives matches in no order, so a page of them cost as much as all of them.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# Triggers, and not the code that writes: whoever changes a paper, also by hand, changes its words with it. An issued
# verdict only moves them in the order of the newest. The plan of a function is kept while the table grows, so it is
# told to go by the index from the start.
INDEX_WORDS = """
    CREATE FUNCTION index_words() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
    BEGIN
        IF TG_OP = 'UPDATE' AND NEW.arxiv_id = OLD.arxiv_id AND NEW.search = OLD.search THEN
            UPDATE paper_words SET newest_verdict_at = NEW.newest_verdict_at FROM unnest(NEW.search) AS own
            WHERE paper_words.word = own.lexeme AND paper_words.arxiv_id = NEW.arxiv_id;
            RETURN NULL;
        END IF;
        IF TG_OP = 'UPDATE' THEN
            DELETE FROM paper_words USING unnest(OLD.search) AS own
            WHERE paper_words.word = own.lexeme AND paper_words.arxiv_id = OLD.arxiv_id;
        END IF;
        INSERT INTO paper_words (word, arxiv_id, newest_verdict_at)
        SELECT lexeme, NEW.arxiv_id, NEW.newest_verdict_at FROM unnest(NEW.search);
        RETURN NULL;
    END $$
"""
# For a database whose papers came in with the triggers off: a restored backup.
FILL_WORDS = """
    CREATE FUNCTION fill_words() RETURNS void LANGUAGE sql AS $$
        TRUNCATE paper_words;
        INSERT INTO paper_words (word, arxiv_id, newest_verdict_at)
        SELECT lexeme, arxiv_id, newest_verdict_at FROM papers, unnest(search) ORDER BY 1, 3, 2;
    $$
"""
TRIGGERS = (
    "CREATE TRIGGER papers_index_words AFTER INSERT ON papers FOR EACH ROW EXECUTE FUNCTION index_words()",
    (
        "CREATE TRIGGER papers_move_words AFTER UPDATE OF arxiv_id, title, abstract, newest_verdict_at ON papers "
        "FOR EACH ROW WHEN ((OLD.arxiv_id, OLD.title, OLD.abstract, OLD.newest_verdict_at) IS DISTINCT FROM "
        "(NEW.arxiv_id, NEW.title, NEW.abstract, NEW.newest_verdict_at)) EXECUTE FUNCTION index_words()"
    ),
)


def upgrade() -> None:
    op.create_table(
        "paper_words",
        sa.Column("word", sa.Text(), nullable=False),
        sa.Column("arxiv_id", sa.Text(), nullable=False),
        sa.Column("newest_verdict_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("word", "arxiv_id", name=op.f("pk_paper_words")),
    )
    op.create_index("ix_paper_words_newest", "paper_words", ["word", "newest_verdict_at", "arxiv_id"], unique=False)
    for statement in (INDEX_WORDS, FILL_WORDS, "SELECT fill_words()", *TRIGGERS):
        op.execute(statement)
    op.drop_index("ix_papers_search", table_name="papers", postgresql_using="gin")


def downgrade() -> None:
    op.create_index("ix_papers_search", "papers", ["search"], unique=False, postgresql_using="gin")
    op.execute("DROP TRIGGER papers_move_words ON papers")
    op.execute("DROP TRIGGER papers_index_words ON papers")
    op.execute("DROP FUNCTION fill_words()")
    op.execute("DROP FUNCTION index_words()")
    op.drop_index("ix_paper_words_newest", table_name="paper_words")
    op.drop_table("paper_words")
