"""A backup and its restoration: the restored service answers byte for byte the same, or nothing was restored at all."""

import json
import os
import random
import re
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from sqlalchemy import text

from app.backup.archive import Manifest
from app.backup.errors import BackupError
from app.backup.load import load
from app.backup.save import save
from app.catalogue.import_document import import_document, parse_document
from app.catalogue.load import load_catalogue
from app.core.db import Database
from app.core.migrate import upgrade
from app.core.settings import QueueSettings, Settings
from app.embedded import EmbeddedServers, ServerUrls
from app.exports.formats import ExportFormat
from app.main import create_app
from app.protocol.errors import DriverError
from app.reproductions.lease import confirm_cancel, give_up
from app.verdicts.conclude import conclude_run
from tests.api.helpers import GOLDEN, Api, counts_body, ok, predictions_body, state_of
from tests.docs.blocks import block
from tests.factories.databases import copied, opened
from tests.factories.drivers import Subject, make_subject
from tests.factories.keys import make_key
from tests.factories.runs import QUEUE, ask, beat, facts, let_pass, predictions, take
from tests.factories.typed import with_real
from tests.hostile.texts import INJECTIONS
from tests.migrations.test_migrations import SHAPE

OTHER: Final = "2101.00002"


@pytest.fixture
def source(database_url: str) -> Iterator[Database]:
    with opened(database_url) as database:
        yield database


@pytest.fixture
def target(empty_database_url: str) -> Iterator[Database]:
    with opened(empty_database_url) as database:
        yield database


@pytest.fixture
def world(source: Database, database_url: str, redis_url: str) -> Database:
    return filled(source, database_url, redis_url)


def filled(source: Database, database_url: str, redis_url: str) -> Database:
    """Something of everything: papers with a past, claims, runs in every state, verdicts of every origin."""
    subject = make_subject(source)
    with source.unit_of_work() as session:
        load_catalogue(session, Settings().catalogue_dir)
        import_document(session, parse_document(GOLDEN.read_text()))
    with Api(create_app(settings_for(database_url, redis_url))) as client:
        client.key = make_key(source).key
        client.put_paper("draft:moved-later", title=INJECTIONS[0])
        ok(client.patch("/v1/papers/draft:moved-later", json={"arxiv_id": OTHER}))
        for row in INJECTIONS[:20]:
            client.post_claim(OTHER, row=f"row {row}"[:200], notes=row)
        for correct in (4565, 4000, 4565):
            ok(client.post(f"/v1/papers/{OTHER}/verdicts", json=counts_body((4998, correct, 9815))), 201)
        ok(client.post(f"/v1/papers/{OTHER}/verdicts", json=counts_body(kind="PRE")), 201)
        ok(client.post(f"/v1/papers/{OTHER}/versions", json={}), 201)
        pairs = [("neutral", "neutral"), ("entailment", "contradiction")] * 5
        ok(client.post(f"/v1/papers/{OTHER}/verdicts", json=predictions_body(pairs)), 201)
        ok(client.patch(f"/v1/papers/{OTHER}", json={"withdrawn": True, "venue": "ACL"}))
        posted = client.post(
            f"/v1/papers/{subject.ref.arxiv_id}/reproductions", json={}, headers={"Idempotency-Key": "k"}
        )
        ok(posted, 202)
    _runs(source, subject)
    return source


def _runs(database: Database, subject: Subject) -> None:
    """The one that was asked for succeeds; then one for every other end, one that runs, and one that waits."""
    lease = take(database)
    beat(database, lease, predictions())
    with database.unit_of_work() as session:
        conclude_run(session, lease, facts())
    for end in ("failed", "cancelled", "running", "queued"):
        ask(database, subject, force=True)
        if end != "queued":
            lease = take(database)
            beat(database, lease, predictions(range(3)))
            with database.unit_of_work() as session:
                if end == "failed":
                    give_up(session, lease, DriverError("broken", "It broke."), QUEUE)
                if end == "cancelled":
                    confirm_cancel(session, lease)


def settings_for(url: str, redis_url: str) -> Settings:
    return Settings(database_url=url, redis_url=redis_url, log_level="ERROR", queue=QueueSettings(sweep_s=3600))


def answers(url: str, redis_url: str) -> dict[str, tuple[int, dict[str, str], bytes]]:
    """What every address of the service answers to a GET: status, headers, body."""
    with Api(create_app(settings_for(url, redis_url))) as client:
        found = {}
        for path in addresses(client):
            for accept in ("*/*", "text/csv") if path.endswith("/predictions") else ("*/*",):
                answer = client.get(path, headers={"Accept": accept})
                # How the limit of an address stands is about who asked and when.
                headers = {name: value for name, value in answer.headers.items() if not name.startswith("ratelimit")}
                found[f"{path} {accept}"] = (answer.status_code, headers, answer.content)
    return found


def addresses(client: Api) -> Iterator[str]:
    """Each GET of the OpenAPI document, with every id there is."""
    document = ok(client.get("/openapi.json"))
    ids = {
        "paper_id": [*everything(client, "/v1/papers", "arxiv_id"), "draft:moved-later", f"{OTHER}v1"],
        "version": ["1", "2"],
        "claim_id": [
            one
            for paper in everything(client, "/v1/papers", "arxiv_id")
            for one in everything(client, f"/v1/papers/{paper}/claims", "id")
        ],
        "verdict_id": everything(client, "/v1/verdicts", "id"),
        "reproduction_id": everything(client, "/v1/reproductions", "id"),
        "slug": everything(client, "/v1/drivers", "slug"),
        "format": [one.value for one in ExportFormat],
    }
    ids |= {"first": ids["verdict_id"], "second": ids["verdict_id"][:3]}
    for path, operations in document["paths"].items():
        if "get" not in operations or path == "/metrics" or "text/event-stream" in str(operations["get"]["responses"]):
            continue  # streams do not end, and what was counted is of the process
        if {} not in operations["get"].get("security", [{}]):
            continue  # for holders of a key
        names = re.findall(r"\{(\w+)\}", path)
        for values in product(*(ids[name] for name in names)):
            yield path.format(**dict(zip(names, values, strict=True)))


def everything(client: Api, path: str, key: str) -> list[str]:
    items = ok(client.get(path, params={"limit": 200}))["items"]
    return [item[key] for item in items]


def test_a_restored_service_answers_byte_for_byte_the_same(
    world: Database, target: Database, database_url: str, empty_database_url: str, redis_url: str, tmp_path: Path
) -> None:
    before = state_of(world)
    seen: dict[str, int] = {}
    manifest = save(world, tmp_path / "b", lambda table, rows: seen.update({table: seen.get(table, 0) + rows}))
    assert load(target, tmp_path / "b") == manifest
    assert state_of(target) == state_of(world) == before
    assert {table.name: table.rows for table in manifest.tables if table.rows} == {t: n for t, n in seen.items() if n}
    served = answers(database_url, redis_url)
    assert len(served) > 140
    assert {status for status, _, _ in served.values()} == {200, 308, 404, 422}
    assert sum(status == 200 for status, _, _ in served.values()) > 100
    assert answers(empty_database_url, redis_url) == served


def test_a_restored_database_guards_itself_as_before(world: Database, target: Database, tmp_path: Path) -> None:
    save(world, tmp_path / "b")
    load(target, tmp_path / "b")
    enabled = "SELECT tgrelid::regclass::text, tgname, tgenabled FROM pg_trigger ORDER BY 1, 2"
    ours = "SELECT tgrelid::regclass::text, tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2"
    for query in (*SHAPE.values(), ours):
        assert rows(target, query) == rows(world, query)
    assert {one[2] for one in rows(target, enabled)} == {"O"}
    for change in ("UPDATE verdicts SET score = 0", "DELETE FROM claims", "UPDATE reproductions SET state = 'queued'"):
        with pytest.raises(Exception, match="never"), target.engine.begin() as connection:
            connection.execute(text(change))


def rows(database: Database, query: str) -> set[tuple[Any, ...]]:
    with database.engine.connect() as connection:
        return {tuple(row) for row in connection.execute(text(query))}


def test_a_restored_service_goes_on(
    world: Database, target: Database, empty_database_url: str, redis_url: str, tmp_path: Path
) -> None:
    save(world, tmp_path / "b")
    load(target, tmp_path / "b")
    let_pass_all(target)
    with Api(create_app(settings_for(empty_database_url, redis_url))) as client:
        client.key = make_key(target).key
        client.put_paper("2101.00003")
        ok(client.patch(f"/v1/papers/{OTHER}", json={"withdrawn": False}))
        newest = client.post_verdict(OTHER)
        assert newest["sequence"] == 5
        runs = {run["state"] for run in ok(client.get("/v1/reproductions"))["items"]}
    assert runs == {"succeeded", "failed", "cancelled", "running", "queued"}


def let_pass_all(database: Database) -> None:
    with database.engine.connect() as connection:
        running = connection.scalars(text("SELECT id FROM reproductions WHERE state = 'running'")).all()
    for run in running:
        let_pass(database, run, "lease_until")


def test_a_backup_is_one_moment_while_the_service_goes_on(world: Database, target: Database, tmp_path: Path) -> None:
    before = state_of(world)
    written: list[bool] = []

    def meanwhile(_table: str, _rows: int) -> None:
        if not written:  # the snapshot is taken by now
            with world.engine.begin() as connection:
                connection.execute(text("UPDATE papers SET title = 'changed meanwhile'"))
            written.append(True)

    save(world, tmp_path / "b", meanwhile)
    assert written
    assert state_of(world) != before
    load(target, tmp_path / "b")
    assert state_of(target) == before


@pytest.fixture(scope="module")
def shipped(
    servers: ServerUrls,
    maintenance: psycopg.Connection,
    template_database: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    path = tmp_path_factory.mktemp("backup") / "saved"
    with copied(servers, maintenance, template_database) as url, opened(url) as database:
        save(filled(database, url, servers.redis_url), path)
    return path


@pytest.fixture
def saved(shipped: Path, tmp_path: Path) -> Path:
    """A backup of a world of its own."""
    return Path(shutil.copy(shipped, tmp_path / "saved"))


def refused(database: Database, path: Path, said: str, *, replace: bool = False) -> None:
    """It is not restored, and the database is left as it is."""
    before = state_of(database)
    with pytest.raises(BackupError, match=said) as caught:
        load(database, path, replace=replace)
    assert "\n" not in str(caught.value)
    assert state_of(database) == before


def test_a_backup_that_was_cut_short_or_changed_anywhere_is_refused(
    saved: Path, target: Database, tmp_path: Path
) -> None:
    whole = saved.read_bytes()
    draw = random.Random(0)  # noqa: S311  # which bytes are changed is no secret
    damaged = tmp_path / "damaged"
    for length in (0, 1, 63, 64, 65, len(whole) // 2, len(whole) - 64, len(whole) - 1):
        damaged.write_bytes(whole[:length])
        refused(target, damaged, "cut short or changed")
    for place in [0, len(whole) - 1, *(draw.randrange(len(whole)) for _ in range(40))]:
        damaged.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        refused(target, damaged, "cut short or changed")
    for other in (whole + b"0", b"\0" * 1000, whole[64:]):
        damaged.write_bytes(other)
        refused(target, damaged, "cut short or changed")
    refused(target, tmp_path / "none", "cannot be read: No such file")
    refused(target, tmp_path, "cannot be read")
    with target.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace")) == 0


Forge = Callable[[dict[str, Any], dict[str, bytes]], None]


def forged(saved: Path, change: Forge) -> Path:
    """A backup that somebody changed knowingly, all digests made to fit."""
    with zipfile.ZipFile(saved) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        tables = {one["name"]: archive.read(f"tables/{one['name']}") for one in manifest["tables"]}
    change(manifest, tables)
    for one in manifest["tables"]:
        one["sha256"] = sha256(tables.get(one["name"], b"")).hexdigest()
    path = saved.with_name("forged")
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in tables.items():
            archive.writestr(f"tables/{name}", content)
        archive.writestr("manifest.json", json.dumps(manifest))
        archive.comment = b"0" * 64
    content = path.read_bytes()[:-64]
    path.write_bytes(content + sha256(content).hexdigest().encode())
    return path


def edit(table: str, old: bytes, new: bytes) -> Forge:
    def change(_manifest: dict[str, Any], tables: dict[str, bytes]) -> None:
        assert old in tables[table]
        tables[table] = tables[table].replace(old, new)

    return change


def without_first_line(table: str) -> Forge:
    def change(_manifest: dict[str, Any], tables: dict[str, bytes]) -> None:
        tables[table] = tables[table].partition(b"\n")[2]

    return change


def set_key(**values: Any) -> Forge:  # noqa: ANN401  # JSON
    return lambda manifest, _tables: manifest.update(values)


FORGED: Final[dict[str, tuple[Forge, str]]] = {
    "a check": (edit("verdicts", b"\t0.85\t", b"\t8.5\t"), "the database refuses"),
    "a foreign key": (without_first_line("papers"), "the database refuses"),
    "a run without its verdict": (edit("reproductions", b"\tfailed\t", b"\tsucceeded\t"), "breaks a rule"),
    "a gap in versions": (edit("paper_versions", b"\t2\t", b"\t3\t"), "breaks a rule"),
    "not what COPY writes": (edit("claims", b"\t", b" "), "the database refuses"),
    "another format": (set_key(format=2), "format"),
    "a schema of the future": (set_key(revision="9999"), "does not know the backup's schema 9999"),
    "a table too many": (
        lambda manifest, tables: (
            manifest["tables"].append(manifest["tables"][0] | {"name": "pg_class"}),
            tables.update(pg_class=b""),
        )[0],
        "not those of its schema",
    ),
    "no manifest": (lambda manifest, _tables: manifest.pop("tables"), "not a backup"),
}


@pytest.mark.parametrize("what", FORGED)
def test_a_backup_that_was_changed_knowingly_breaks_no_rule(saved: Path, target: Database, what: str) -> None:
    change, said = FORGED[what]
    if what == "no manifest":
        path = saved.with_name("other.zip")
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x", "y")
            archive.comment = b"0" * 64
        content = path.read_bytes()[:-64]
        path.write_bytes(content + sha256(content).hexdigest().encode())
    else:
        path = forged(saved, change)
    if what != "a schema of the future":
        upgrade(target.engine.url.render_as_string(hide_password=False))
    refused(target, path, said)


def test_a_database_that_holds_anything_is_left_alone_unless_told(world: Database, tmp_path: Path) -> None:
    saved = tmp_path / "b"
    save(world, saved)
    before = state_of(world)
    with world.engine.begin() as connection:
        connection.execute(text("UPDATE papers SET title = 'later'"))
    refused(world, saved, "not empty")
    refused(world, forged(saved, FORGED["a gap in versions"][0]), "breaks a rule", replace=True)
    load(world, saved, replace=True)
    assert state_of(world) == before


def test_a_schema_without_rows_is_in_nobodys_way(saved: Path, target: Database) -> None:
    upgrade(target.engine.url.render_as_string(hide_password=False))
    manifest = load(target, saved)
    found = {
        name: rows for name, (rows, _) in state_of(target).items() if name not in {"alembic_version", "paper_words"}
    }
    assert found == {table.name: table.rows for table in manifest.tables}


def test_nothing_is_backed_up_where_there_is_nothing(target: Database, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="nothing to back up"):
        save(target, tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_private_and_appears_whole_or_not_at_all(world: Database, tmp_path: Path) -> None:
    def stop(_table: str, _rows: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save(world, tmp_path / "b", stop)
    assert list(tmp_path.iterdir()) == []
    assert isinstance(save(world, tmp_path / "b"), Manifest)
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o600
    with pytest.raises(BackupError, match="exists already"):
        save(world, tmp_path / "b")
    with pytest.raises(BackupError, match="cannot be written"):
        save(world, tmp_path / "no" / "b")


def test_a_folder_where_nothing_runs_is_restored_into(world: Database, tmp_path: Path) -> None:
    save(world, tmp_path / "b")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VERDICTS_")}
    argv = [sys.executable, "-m", "app.cli", "restore", str(tmp_path / "b"), "--data-dir", str(tmp_path / "folder")]
    back = subprocess.run(argv, capture_output=True, text=True, check=False, env=kept)
    assert (back.returncode, back.stderr) == (0, "")
    with EmbeddedServers(tmp_path / "folder") as urls, opened(urls.database_url) as target:
        assert state_of(target) == state_of(world)


def test_both_commands(world: Database, database_url: str, empty_database_url: str, tmp_path: Path) -> None:
    """As the README has them: each line with the database that it is about."""
    save_it, restore_it = block("README.md", ".venv/bin/verdicts backup").code.splitlines()
    found = re.search(r"backup (\S+)", save_it)
    assert found

    def run(url: str, line: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("VERDICTS_")}
        kept |= {"VERDICTS_DATABASE_URL": url, "VERDICTS_REDIS_URL": "redis://127.0.0.1:1/0", "COLUMNS": "300"}
        code = with_real(line, {".venv/bin/": f"{Path(sys.executable).parent}/"})
        argv = ["bash", "-c", code]
        return subprocess.run(argv, capture_output=True, text=True, check=False, env=kept, cwd=tmp_path)

    made = run(database_url, save_it)
    assert (made.returncode, made.stderr) == (0, "")
    assert re.search(rf"[\d,]+ rows of \d+ tables, schema \w+, in {re.escape(found[1])}", made.stdout)
    back = run(empty_database_url, restore_it)
    assert (back.returncode, back.stderr) == (0, "")
    with opened(empty_database_url) as target:
        assert state_of(target) == state_of(world)
    full = run(empty_database_url, restore_it)
    assert (full.returncode, full.stderr.count("\n")) == (1, 1)
    assert "--replace" in full.stderr
