"""Pages of a search are exact and in order, whichever list was walked and however early a page had to end."""

from collections.abc import Sequence
from itertools import product

import pytest
from sqlalchemy import text

from app.core.db import Database
from app.papers import search, walks
from app.papers.queries import PaperFilter, list_papers
from app.papers.search import read_alternatives
from tests.api.helpers import Api, ok

WORDS = ("wombat", "numbat", "quokka")
FILL = text("""
    INSERT INTO papers (id, arxiv_id, title, abstract, primary_category, venue, withdrawn, newest_verdict_at)
    SELECT uuidv7(), format('2101.%s', 10000 + 37 * n % 60), format('Paper %s', n),
           CASE WHEN n % 2 = 0 THEN 'wombat ' ELSE '' END || CASE WHEN n % 3 = 0 THEN 'numbat ' ELSE '' END
           || CASE WHEN n % 5 = 0 THEN 'quokka' ELSE 'far from any quokkas' END,
           CASE WHEN n % 4 = 0 THEN 'cs.CL' ELSE 'cs.CV' END, CASE WHEN n % 7 = 0 THEN 'ACL' END, n % 11 = 0,
           timestamptz '2021-01-01Z' + n / 3 * interval '1 second'
    FROM generate_series(1, 50) AS n
""")
PLAIN = """
    SELECT arxiv_id FROM papers
    WHERE (:q IS NULL OR search @@ websearch_to_tsquery('english', :q) OR arxiv_id = :q)
      AND (:category IS NULL OR primary_category = :category) AND (:venue IS NULL OR venue = :venue)
    ORDER BY {order}
"""
ORDERS = {"-newest_verdict": "newest_verdict_at DESC, arxiv_id DESC", "arxiv_id": "arxiv_id"}
QUESTIONS = (
    None,
    "wombat",
    "wombat numbat",
    "wombat numbat quokka",
    "wombat -numbat",
    "-numbat",
    "-numbat -wombat",
    "wombat or numbat",
    "wombat numbat or quokka -wombat or nonesuch",
    '"wombat numbat"',
    '"numbat wombat"',
    '-"wombat numbat"',
    '"far from" quokka',
    "2101.10037",
    "wombat or 2101.10037",
    "paper",
    "the",
    "",
    "nonesuch wombat",
)


@pytest.fixture
def filled(database: Database) -> Database:
    with database.engine.begin() as connection:
        connection.execute(FILL)
    return database


def walked(database: Database, wanted: PaperFilter, limit: int) -> tuple[list[str], int]:
    """Every id, page by page, and how many pages there were."""
    ids: list[str] = []
    cursor, pages = None, 0
    while True:
        with database.unit_of_work() as session:
            page = list_papers(session, wanted, limit, cursor)
        assert len(page.items) <= limit
        ids += [item.arxiv_id for item in page.items]
        pages += 1
        if page.next_cursor is None:
            return ids, pages
        cursor = page.next_cursor


def plainly(database: Database, wanted: PaperFilter) -> Sequence[str]:
    asked = {"q": wanted.q, "category": wanted.category, "venue": wanted.venue}
    types = {"q": "text", "category": "text", "venue": "text"}
    statement = PLAIN.format(order=ORDERS[wanted.sort])
    for name, kind in types.items():
        statement = statement.replace(f":{name}", f"CAST(:{name} AS {kind})")
    with database.engine.connect() as connection:
        return connection.scalars(text(statement), asked).all()


@pytest.mark.parametrize(("most", "denser"), [(6, 8), (3, 2), (1000, 8)])
def test_all_pages_together_are_what_a_plain_query_finds(
    filled: Database, monkeypatch: pytest.MonkeyPatch, most: int, denser: int
) -> None:
    monkeypatch.setattr(search, "MOST_LOOKED_AT", most)
    for module in (search, walks):
        monkeypatch.setattr(module, "DENSER", denser)
    early = 0
    for q, (category, venue), sort in product(QUESTIONS, ((None, None), ("cs.CL", None), ("cs.CL", "ACL")), ORDERS):
        wanted = PaperFilter(q=q, category=category, venue=venue, sort=sort)  # type: ignore[arg-type]
        expected = plainly(filled, wanted)
        ids, pages = walked(filled, wanted, 7)
        assert ids == expected, wanted
        early += pages > len(expected) // 7 + 1
    assert (early > 0) is (most < 1000)


def test_one_word_and_one_filter_fill_their_pages(filled: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MOST_LOOKED_AT", 2)
    for wanted in (PaperFilter(q="wombat"), PaperFilter(q="quokka or numbat"), PaperFilter(venue="ACL"), PaperFilter()):
        with filled.unit_of_work() as session:
            assert len(list_papers(session, wanted, 5, None).items) == 5


@pytest.mark.parametrize(
    ("parsed", "alternatives"),
    [
        ("'wombat'", [(["wombat"], True)]),
        ("'wombat' & 'numbats'", [(["numbats", "wombat"], True)]),
        ("'a' & ( 'b' | 'c' )", [(["a"], False)]),
        ("'wombat' <-> 'numbats'", [(["numbats", "wombat"], False)]),
        ("'wombat' | 'numbat' & !'x'", [(["wombat"], True), (["numbat"], False)]),
        ("!'wombat'", [([], False)]),
        ("!( 'a' <-> 'b' ) & 'c'", [(["c"], False)]),
        ("'a' <-> ( 'b' | 'c' )", [(["a"], False)]),
        (r"'it''s' | 'a\\b'", [(["it's"], True), ([r"a\b"], True)]),
        ("", []),
    ],
)
def test_what_stands_between_the_ors(parsed: str, alternatives: list[tuple[list[str], bool]]) -> None:
    assert read_alternatives(parsed) == alternatives


KEPT = text("""
    SELECT count(*) FROM (
        (SELECT word, arxiv_id, newest_verdict_at FROM paper_words
         EXCEPT SELECT lexeme, arxiv_id, newest_verdict_at FROM papers, unnest(search))
        UNION ALL
        (SELECT lexeme, arxiv_id, newest_verdict_at FROM papers, unnest(search)
         EXCEPT SELECT word, arxiv_id, newest_verdict_at FROM paper_words)
    ) AS different
""")


def test_the_words_follow_their_paper(client: Api, database: Database) -> None:
    def different() -> int:
        with database.engine.connect() as connection:
            return int(connection.execute(KEPT).scalar_one())

    client.put_paper("draft:wombats", title="Wombats at night")
    assert different() == 0
    ok(client.patch("/v1/papers/draft:wombats", json={"title": "Numbats by day"}))
    assert different() == 0
    client.post_claim("draft:wombats")
    client.post_verdict("draft:wombats")
    assert different() == 0
    ok(client.patch("/v1/papers/draft:wombats", json={"arxiv_id": "2101.00009"}))
    assert different() == 0
    with database.engine.begin() as connection:
        connection.execute(text("SELECT fill_words()"))
    assert different() == 0
