"""Papers, their versions, their former ids, and the prepared paper document."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Computed,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, CreatedAt, Id, Moment

ARXIV_ID = (
    r"^(\d{2}(0[1-9]|1[0-2])\.\d{4,5}|[a-z-]+(\.[A-Z]{2})?/\d{2}(0[1-9]|1[0-2])\d{3}|draft:[a-z0-9]+(-[a-z0-9]+)*)$"
)
"""Ids as Postgres checks them; app.papers.ids parses the same."""


class Paper(Base):
    """A work, known by its arXiv id, or by a draft id until it has one."""

    __tablename__ = "papers"
    __table_args__ = (
        CheckConstraint(f"arxiv_id ~ '{ARXIV_ID}'", name="arxiv_id"),
        ForeignKeyConstraint(
            ["headline_claim_id", "id"],
            ["claims.id", "claims.paper_id"],
            name="fk_papers_headline_claim",
            use_alter=True,
        ),
        # One index for each filter and order of the list: a page costs the same, however many papers there are.
        Index("ix_papers_newest_verdict", "newest_verdict_at", "arxiv_id"),
        *(
            Index(f"ix_papers_{name}_{order}", column, *keys)
            for name, column in (("category", "primary_category"), ("venue", "venue"), ("status", "headline_status"))
            for order, keys in (("newest", ("newest_verdict_at", "arxiv_id")), ("id", ("arxiv_id",)))
        ),
        *(
            Index(f"ix_papers_{name}_{order}", *keys, postgresql_where=where)
            for name, where in (("withdrawn", "withdrawn"), ("unchecked", "headline_status IS NULL"))
            for order, keys in (("newest", ("newest_verdict_at", "arxiv_id")), ("id", ("arxiv_id",)))
        ),
    )

    id: Mapped[Id]
    arxiv_id: Mapped[str] = mapped_column(unique=True)
    title: Mapped[str]
    abstract: Mapped[str]
    primary_category: Mapped[str | None]
    venue: Mapped[str | None]
    published_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    withdrawn: Mapped[bool] = mapped_column(default=False)
    headline_claim_id: Mapped[UUID | None]
    headline_status: Mapped[str | None]
    """Status of the document's `verdict`; kept here so that the list can filter by it."""
    newest_verdict_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    """When the newest verdict was issued; the epoch while there is none, so that one index serves the whole list."""
    created_at: Mapped[CreatedAt]
    search: Mapped[str] = mapped_column(
        TSVECTOR,
        Computed("to_tsvector('english', arxiv_id || ' ' || title || ' ' || abstract)", persisted=True),
        deferred=True,
    )


class PaperWord(Base):
    """A word of a paper's id, title or abstract, as the text search knows it. Triggers of `papers` keep it.

    One index for each order of the list: the papers that have a word are read as far as the page goes.
    """

    __tablename__ = "paper_words"
    __table_args__ = (Index("ix_paper_words_newest", "word", "newest_verdict_at", "arxiv_id"),)

    word: Mapped[str] = mapped_column(primary_key=True)
    arxiv_id: Mapped[str] = mapped_column(primary_key=True)
    newest_verdict_at: Mapped[Moment]


class PaperVersion(Base):
    """One version of a paper. Numbers have no gaps."""

    __tablename__ = "paper_versions"
    __table_args__ = (
        UniqueConstraint("paper_id", "version"),
        UniqueConstraint("id", "paper_id"),
        CheckConstraint("version >= 1", name="version"),
    )

    id: Mapped[Id]
    paper_id: Mapped[UUID] = mapped_column(ForeignKey("papers.id"))
    version: Mapped[int]
    source_url: Mapped[str | None]
    rendered_html_url: Mapped[str | None]
    rendering_engine: Mapped[str | None]
    created_at: Mapped[CreatedAt]


class PaperAlias(Base):
    """An id that a paper had before: a draft's, after it got its arXiv id."""

    __tablename__ = "paper_aliases"

    alias: Mapped[str] = mapped_column(primary_key=True)
    paper_id: Mapped[UUID] = mapped_column(ForeignKey("papers.id"), index=True)
    created_at: Mapped[CreatedAt]


class PaperDocument(Base):
    """The paper document as it is served, rewritten in the transaction of each change that shows in it."""

    __tablename__ = "paper_documents"

    paper_id: Mapped[UUID] = mapped_column(ForeignKey("papers.id"), primary_key=True)
    etag: Mapped[str]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    written_at: Mapped[Moment]
