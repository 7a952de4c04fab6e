"""Loading a catalogue: what is there stays, what is new comes, and a bad file is named before anything is written."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text

from app.catalogue.errors import CatalogueError
from app.catalogue.load import Loaded, load_catalogue
from app.core.db import Database
from app.core.settings import Settings
from app.drivers.queries import find_driver
from app.models import Base, Claim, Driver, Paper, PaperVersion, VerdictKind
from app.papers.change import change_paper
from app.papers.find import find_paper, lock_paper
from app.papers.ids import PaperRef
from app.papers.schemas import PaperPatch
from app.protocol.driver import DriverSpec
from tests.factories.drivers import Table, driver_table, paper_table, write_catalogue
from tests.factories.threads import together

SHIPPED = Settings.model_fields["catalogue_dir"].default


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    return write_catalogue(tmp_path / "catalogue", [driver_table()], [paper_table()])


def _load(database: Database, catalogue: Path) -> Loaded:
    with database.unit_of_work() as session:
        return load_catalogue(session, catalogue)


def _contents(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table; of documents, what is served."""
    with database.engine.connect() as connection:
        kept = {
            name: sorted(map(tuple, connection.execute(select(*table.columns))), key=repr)
            for name, table in Base.metadata.tables.items()
            if name != "paper_documents"
        }
        documents = text("SELECT paper_id, etag, body FROM paper_documents")
        kept["paper_documents"] = sorted(map(tuple, connection.execute(documents)), key=repr)
    return kept


def _driver(database: Database, slug: str = "tiny") -> Driver:
    with database.unit_of_work() as session:
        return find_driver(session, slug)


# --- what comes in


def test_papers_claims_and_drivers_come_in(database: Database, catalogue: Path) -> None:
    assert _load(database, catalogue) == Loaded(papers=1, drivers=1)
    driver = _driver(database)
    spec = DriverSpec.model_validate(driver_table())
    assert (driver.agent_version, driver.spec_digest) == ("v0.1.0-tiny", spec.digest)
    assert DriverSpec.model_validate(driver.spec) == spec
    with database.unit_of_work() as session:
        claim = session.scalars(select(Claim)).one()
        paper = session.scalars(select(Paper)).one()
    assert (claim.id, claim.paper_id) == (driver.claim_id, paper.id)
    assert (str(claim.reported_value), claim.decimals, claim.unit) == ("75.0", 1, "percent")
    assert (paper.arxiv_id, paper.headline_claim_id) == ("2101.00001", claim.id)


def test_loading_twice_changes_nothing(database: Database, catalogue: Path) -> None:
    _load(database, catalogue)
    before = _contents(database)
    assert _load(database, catalogue) == Loaded(papers=1, drivers=1)
    assert _contents(database) == before


def test_several_processes_may_load_at_once(database: Database, catalogue: Path) -> None:
    write_catalogue(
        catalogue,
        [driver_table(f"driver-{i}", f"2101.0000{i}") for i in range(2, 6)],
        [paper_table(f"2101.0000{i}") for i in range(2, 6)],
    )
    assert together(6, lambda _: _load(database, catalogue)) == [Loaded(papers=5, drivers=5)] * 6
    with database.unit_of_work() as session:
        counts = [
            session.scalar(select(func.count()).select_from(table)) for table in (Paper, PaperVersion, Claim, Driver)
        ]
    assert counts == [5, 5, 5, 5]


def test_the_shipped_catalogue_loads_and_changes_nothing_the_second_time(database: Database) -> None:
    drivers = len(list((SHIPPED / "drivers").glob("*.toml")))
    papers = len(list((SHIPPED / "papers").glob("*.toml")))
    assert drivers >= 23
    assert _load(database, SHIPPED) == Loaded(papers, drivers)
    before = _contents(database)
    _load(database, SHIPPED)
    assert _contents(database) == before


def test_two_drivers_may_check_one_claim(database: Database, catalogue: Path) -> None:
    write_catalogue(catalogue, [driver_table("another")], [])
    _load(database, catalogue)
    assert _driver(database).claim_id == _driver(database, "another").claim_id


def test_two_cells_are_two_claims_and_the_first_file_names_the_headline(database: Database, catalogue: Path) -> None:
    write_catalogue(catalogue, [driver_table("another", claim={"row": "Another model"})], [])
    _load(database, catalogue)
    first, second = _driver(database, "another"), _driver(database)
    assert first.claim_id != second.claim_id
    with database.unit_of_work() as session:
        assert session.scalars(select(Paper.headline_claim_id)).one() == first.claim_id


# --- what changes


def test_a_changed_driver_is_brought_up_to_date(database: Database, catalogue: Path) -> None:
    _load(database, catalogue)
    before = _driver(database)
    changed = driver_table(version="0.2.0", decision={"margin": 0.03})
    write_catalogue(catalogue, [changed], [])
    _load(database, catalogue)
    after = _driver(database)
    assert (after.id, after.claim_id, after.created_at) == (before.id, before.claim_id, before.created_at)
    assert (after.agent_version, after.spec["decision"]["margin"]) == ("v0.2.0-tiny", 0.03)
    assert after.spec_digest == DriverSpec.model_validate(changed).digest != before.spec_digest
    assert after.updated_at > before.updated_at


def test_a_driver_may_move_to_another_claim_and_the_claims_stay(database: Database, catalogue: Path) -> None:
    _load(database, catalogue)
    before = _driver(database)
    write_catalogue(catalogue, [driver_table(claim={"reported_value": "75.1"})], [])
    _load(database, catalogue)
    assert _driver(database).claim_id != before.claim_id
    with database.unit_of_work() as session:
        assert session.scalar(select(func.count()).select_from(Claim)) == 2


def test_a_paper_keeps_what_somebody_changed_since(database: Database, catalogue: Path) -> None:
    _load(database, catalogue)
    with database.unit_of_work() as session:
        paper = find_paper(session, PaperRef("2101.00001"), lock=True)
        change_paper(session, paper, PaperPatch(title="A better title", withdrawn=True))
    before = _contents(database)
    _load(database, catalogue)
    assert _contents(database) == before


def test_a_paper_gains_the_versions_it_has_not(database: Database, catalogue: Path) -> None:
    _load(database, catalogue)
    versions = [{"version": 1}, {"version": 2, "source_url": "https://example.org/v2"}]
    write_catalogue(catalogue, [], [paper_table(versions=versions)])
    for _ in range(2):
        _load(database, catalogue)
        with database.unit_of_work() as session:
            found = session.execute(
                select(PaperVersion.version, PaperVersion.source_url).order_by(PaperVersion.version)
            ).all()
        assert [row.version for row in found] == [1, 2]
        assert found[1].source_url == "https://example.org/v2"


def test_a_driver_follows_its_draft_to_the_arxiv_id(database: Database, tmp_path: Path) -> None:
    draft = write_catalogue(
        tmp_path / "draft", [driver_table(arxiv_id="draft:a-draft", kind="PRE")], [paper_table("draft:a-draft")]
    )
    _load(database, draft)
    claim = _driver(database).claim_id
    with database.unit_of_work() as session:
        paper = lock_paper(session, find_paper(session, PaperRef("draft:a-draft")).id)
        change_paper(session, paper, PaperPatch(arxiv_id="2101.00009"))
    before = _contents(database)
    assert _load(database, draft) == Loaded(papers=1, drivers=1)
    assert _contents(database) == before
    assert (_driver(database).claim_id, _driver(database).spec["kind"]) == (claim, VerdictKind.PRE)


# --- what is refused


def _write(catalogue: Path, name: str, content: str) -> None:
    (catalogue / name).write_text(content, encoding="utf-8")


def _rewritten(catalogue: Path, table: Table) -> None:
    write_catalogue(catalogue, [table], [])


BAD_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no TOML": (lambda c: _write(c, "drivers/tiny.toml", "slug = "), r"^tiny\.toml: "),
    "paper no TOML": (lambda c: _write(c, "papers/2101.00001.toml", "title"), r"^2101\.00001\.toml: "),
    "not UTF-8": (lambda c: (c / "drivers/tiny.toml").write_bytes(b'slug = "\xff"'), r"^tiny\.toml: "),
    "a field missing": (lambda c: _write(c, "drivers/tiny.toml", 'slug = "tiny"'), r"^tiny\.toml: version: "),
    "a field unknown": (
        lambda c: _rewritten(c, driver_table(surprise=1)),
        r"^tiny\.toml: surprise: Extra inputs are not permitted",
    ),
    "a nested field": (
        lambda c: _rewritten(c, driver_table(decision={"margin": 2.0})),
        r"^tiny\.toml: decision\.margin: ",
    ),
    "a lie about the protocol": (
        lambda c: _rewritten(c, driver_table(slice={"kind": "simple", "size": 3})),
        r"^tiny\.toml: the file: .*full_split",
    ),
    "another slug than the file's": (
        lambda c: shutil.copy(c / "drivers/tiny.toml", c / "drivers/other.toml"),
        r"^other\.toml: .*tiny\.toml",
    ),
    "a paper that is not there": (
        lambda c: _rewritten(c, driver_table(arxiv_id="2101.09999")),
        r"^tiny\.toml: There is no paper 2101\.09999",
    ),
    "no id of a paper": (
        lambda c: _rewritten(c, driver_table(arxiv_id="nonsense")),
        r"^tiny\.toml: paper: 'nonsense' is ",
    ),
    "a version of a paper to measure": (
        lambda c: _rewritten(c, driver_table(arxiv_id="2101.00001v1")),
        r"^tiny\.toml: paper: 2101\.00001v1 names a version",
    ),
    "a value that cannot be": (
        lambda c: _rewritten(c, driver_table(claim={"reported_value": "100.1"})),
        r"^tiny\.toml: 100\.1 is above 100",
    ),
    "a value that no count gives": (
        lambda c: _rewritten(c, driver_table(claim={"reported_value": "22.4", "n_items": 124})),
        r"^tiny\.toml: No k/124 rounds to 22\.4",
    ),
    "a claim too precise to be printed": (
        lambda c: _rewritten(c, driver_table(claim={"reported_value": "0." + "1" * 30})),
        r"^tiny\.toml: reported_value: ",
    ),
    "versions out of order": (
        lambda c: write_catalogue(c, [], [paper_table(versions=[{"version": 2}])]),
        r"^2101\.00001\.toml: versions have to be numbered",
    ),
    "no version": (
        lambda c: write_catalogue(c, [], [paper_table(versions=[])]),
        r"^2101\.00001\.toml: versions: ",
    ),
    "a paper's bad id": (
        lambda c: _write(c, "papers/2101.00001.toml", 'arxiv_id = "nonsense"\n' + PAPER),
        r"^2101\.00001\.toml: arxiv_id: .*'nonsense'",
    ),
    "a version of a paper": (
        lambda c: _write(c, "papers/2101.00001.toml", 'arxiv_id = "2101.00001v2"\n' + PAPER),
        r"^2101\.00001\.toml: arxiv_id: .*2101\.00001v2 names a version",
    ),
}
PAPER = 'title = "T"\nabstract = "A"\nversions = [{ version = 1 }]\n'


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_named_and_nothing_is_written(case: str, database: Database, catalogue: Path) -> None:
    spoil, message = BAD_FILES[case]
    write_catalogue(catalogue, [driver_table("a-good-one")], [])
    spoil(catalogue)
    before = _contents(database)
    with pytest.raises(CatalogueError, match=message):
        _load(database, catalogue)
    assert _contents(database) == before


def test_a_folder_that_is_no_catalogue_is_named(database: Database, tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="is no catalogue: it has no folder `drivers`"):
        _load(database, tmp_path)


def test_an_empty_catalogue_is_none_the_worse(database: Database, tmp_path: Path) -> None:
    assert _load(database, write_catalogue(tmp_path, [], [])) == Loaded(papers=0, drivers=0)
