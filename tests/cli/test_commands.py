"""The command `verdicts`, against a database and a Redis that run already."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from app.catalogue.load import load_catalogue
from app.core.db import Database
from app.core.settings import Settings
from tests.factories.forks import Forks
from tests.factories.ports import free_port

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "paper-2111.09543.json"

NO_ID = "01a21525-639b-74c9-add1-2f7c9106dcf1"

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(forks: Forks, database_url: str, redis_url: str, tmp_path: Path) -> Run:
    """Run `verdicts ARGUMENTS` in a process of its own."""
    ours = ("VERDICTS_", "COLUMNS")  # xdist says how wide its workers are
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment |= {"VERDICTS_DATABASE_URL": database_url, "VERDICTS_REDIS_URL": redis_url}

    def command(*arguments: str, text: str | None = None, **settings: str) -> subprocess.CompletedProcess[str]:
        return forks.run(arguments, environment | settings, tmp_path, text)

    return command


@pytest.fixture
def loaded(run: Run, database_url: str) -> Run:
    """With the shipped catalogue in the database."""
    database = Database(database_url)
    with database.unit_of_work() as session:
        load_catalogue(session, Settings().catalogue_dir)
    database.close()
    return run


def test_migrate_and_catalogue(run: Run) -> None:
    done = run("migrate", "--catalogue")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"3 papers and 23 drivers in the catalogue\n", done.stdout)


def test_drivers_and_papers_as_a_table_and_as_json(loaded: Run) -> None:
    drivers = json.loads(loaded("drivers", "--json").stdout)["items"]
    assert len(drivers) == 23
    table = loaded("drivers").stdout
    assert all(driver["slug"] in table for driver in drivers)
    claims = loaded("claims", "2004.13606", "--limit", "1").stdout
    assert "BERT-base, seed 1" in claims
    assert "0.848497" in claims
    assert loaded("claims", "list", "2004.13606", "--limit", "1").stdout == claims
    found = json.loads(loaded("papers", "instability", "--json").stdout)["items"]
    assert [paper["arxiv_id"] for paper in found] == ["2004.13606"]
    assert "2111.09543" in loaded("papers").stdout


def test_import_from_a_file_and_from_standard_input(loaded: Run) -> None:
    first = json.loads(loaded("import", str(GOLDEN), "--json").stdout)
    assert first == {"arxiv_id": "2111.09543", "verdicts": 1, "known": 0}
    again = json.loads(loaded("import", "-", "--json", text=GOLDEN.read_text()).stdout)
    assert again == {"arxiv_id": "2111.09543", "verdicts": 1, "known": 1}
    shown = loaded("show", "2111.09543", "--json").stdout.strip()
    assert shown == json.dumps(json.loads(GOLDEN.read_text()), ensure_ascii=False, separators=(",", ":"))
    assert "reproduced" in loaded("show", "2111.09543").stdout


def test_reproduce_queues_and_joins(loaded: Run) -> None:
    arguments = ("reproduce", "2004.13606", "--driver", "bert-base-mnli-seed01-matched", "--json")
    first, second = (json.loads(loaded(*arguments).stdout) for _ in range(2))
    assert first["state"] == "queued"
    assert first["id"] == second["id"]
    said = loaded(*arguments[:-1]).stdout
    again = "is queued, place 1 (the same one was in flight); to follow it:\n  verdicts follow"
    assert said == f"run {first['id']} {again} {first['id']}\n"
    other = json.loads(loaded(*arguments, "--force").stdout)
    assert other["id"] != first["id"]
    assert [row.split()[-1] for row in loaded("runs").stdout.splitlines()] == ["verdict", "queued", "queued"]
    assert loaded("cancel", first["id"]).stdout == f"run {first['id']} is cancelled\n"
    left = json.loads(loaded("runs", "--state", "queued", "--paper", "2004.13606", "--json").stdout)["items"]
    assert [run["id"] for run in left] == [other["id"]]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("show", "2111.99999"), 3, "no paper 2111.99999 here. `verdicts import 2111.99999` brings it in from arXiv."),
        (("show", "draft:x"), 3, "It is registered over HTTP: PUT /v1/papers/draft:x."),
        (("show", "2699.00001"), 2, "no month 99"),
        (("show", "9912.00001"), 3, "arXiv cannot have it: the id begins with year and month, and December 2099 is"),
        (("reproduce", "2004.13606", "--driver", "no-such"), 3, "no driver 'no-such'; `verdicts drivers` lists them."),
        (("reproduce", "2004.13606", "--driver", "minilm-mnli-full"), 1, "another paper; `verdicts drivers` names it."),
        (
            ("reproduce", "2111.09543", "--claim", NO_ID),
            3,
            "`verdicts claims 2111.09543` lists them, `verdicts claims im",
        ),
        (("cancel", NO_ID), 3, "`verdicts runs` lists them."),
        (("webhooks", "remove", NO_ID), 3, "`verdicts webhooks list` lists those it has."),
        (("reproduce", "2004.13606", "--kind", "LATER"), 2, "LATER"),
        (("import", "missing.json"), 5, "cannot be read"),
        (("no-such-command",), 2, "No such command"),
        (("follow", "nope"), 2, "'nope' is no id"),
        (("audit", "--cursor", "x"), 2, "Take it from `next_cursor`"),
        (("papers", "--limit", "999"), 2, "It has to be at most 200."),
        (("--server", "http://127.0.0.1:9", "up"), 2, "`verdicts up` takes no --server."),
        (("--key", "x", "claims", "list"), 2, "Missing argument"),
    ],
)
def test_errors_are_short_and_have_their_exit_code(
    loaded: Run, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = loaded(*arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    if code != 2:  # usage errors are Typer's own, with a hint
        assert len(done.stderr.splitlines()) == 1
        assert done.stderr.startswith("verdicts: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "nonsense"),
        ("claims", "nonsense"),
        ("claims", "import", "nonsense", "claims.csv"),
        ("import", "draft:No"),
        ("import", "https://arxiv.org/abs/2004.13606"),
        ("reproduce", "nonsense"),
        ("reproduce", "2004.13606", "--claim", "nonsense"),
        ("reproduce", "2004.13606", "--driver", "NO_SUCH"),
        ("reproduce", "2004.13606", "--slice-size", "99999999"),
        ("runs", "--paper", "nonsense"),
        ("cancel", "nonsense"),
        ("follow", "nonsense"),
        ("webhooks", "remove", "nonsense"),
    ],
)
def test_an_id_that_cannot_be_is_wrong_usage_whatever_it_is_an_id_of(run: Run, arguments: tuple[str, ...]) -> None:
    nowhere = {"VERDICTS_DATABASE_URL": "", "VERDICTS_REDIS_URL": "", "VERDICTS_DATA_DIR": "/nowhere"}
    for where in ({}, nowhere, {"VERDICTS_SERVER": "http://127.0.0.1:9"}):
        done = run(*arguments, **where)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert "Invalid value" in done.stderr


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "NaN", '{"paper": {}}', "[" * 100_000, GOLDEN.read_text().replace("91.8", "1e400")],
    ids=["empty", "cut", "list", "null", "nan", "lacking", "deep", "infinite"],
)
def test_a_document_that_is_none_is_refused(run: Run, dsn: str, text: str) -> None:
    done = run("import", "-", text=text)
    assert done.returncode == 1
    assert done.stderr.startswith("verdicts: ")
    assert "Traceback" not in done.stderr
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT count(*) FROM papers").fetchone() == (0,)


def test_no_service_is_said_in_one_line(run: Run, tmp_path: Path) -> None:
    done = run("papers", "--data-dir", str(tmp_path), VERDICTS_DATABASE_URL="", VERDICTS_REDIS_URL="")
    assert done.returncode == 5
    assert "verdicts up" in done.stderr
    gone = run("papers", VERDICTS_DATABASE_URL="postgresql+psycopg://nobody@127.0.0.1:9/none")
    assert gone.returncode == 5
    assert "does not answer" in gone.stderr
    assert "Traceback" not in gone.stderr


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"VERDICTS_QUEUE__LEASE_S": "abc"}, "VERDICTS_QUEUE__LEASE_S: This has to be a number."),
        (
            {"VERDICTS_DATABASE_URL": "postgresql+psycopg://me:secret@x:port/y"},
            "has to look like postgresql+psycopg://",
        ),
        ({"VERDICTS_DATABASE_URL": "garbage"}, "has to look like postgresql+psycopg://"),
        ({"VERDICTS_DATABASE_URL": "mysql://me:secret@x/y"}, "has to look like postgresql+psycopg://"),
    ],
)
def test_settings_that_make_no_sense_are_named(run: Run, settings: dict[str, str], said: str) -> None:
    done = run("papers", **settings)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert said in done.stderr
    assert "secret" not in done.stderr


def test_an_arxiv_that_cannot_be_reached_is_no_refusal(run: Run) -> None:
    done = run("import", "2004.13607", VERDICTS_ARXIV__HOST="nowhere.invalid")
    assert (done.returncode, done.stdout) == (5, "")
    assert "cannot be resolved" in done.stderr


def test_up_refuses_a_folder_that_cannot_be(run: Run) -> None:
    done = run("up", "--port", str(free_port()), "--data-dir", "/proc/none")
    assert done.returncode == 5
    assert "cannot be made" in done.stderr


def test_up_refuses_a_taken_port_before_it_starts_anything(run: Run, tmp_path: Path) -> None:
    import socket  # noqa: PLC0415  # this test alone

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("up", "--port", str(port), "--data-dir", str(tmp_path / "data"))
    assert done.returncode == 5
    assert str(port) in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.worker
def test_reproduce_wait_follows_a_worker_to_the_verdict(
    loaded: Run, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VERDICTS_")}
    environment |= {
        "VERDICTS_DATABASE_URL": database_url,
        "VERDICTS_REDIS_URL": redis_url,
        "VERDICTS_DATA_DIR": str(tmp_path / "data"),
        "HF_HUB_OFFLINE": "1",
    }
    argv = [sys.executable, "-m", "app.cli", "worker", "--device", "cpu"]
    with (tmp_path / "worker.log").open("w") as log:
        worker = subprocess.Popen(argv, env=environment, stdout=log, stderr=log)
    try:
        wait = ("reproduce", "2004.13606", "--driver", "bert-base-mnli-seed03-matched", "--wait")
        done = loaded(*wait, "--expect", "reproduced")
        assert done.returncode == 0, done.stderr
        assert "0.848090" in done.stdout
        unexpected = loaded(*wait, "--json", "--expect", "not_reproduced")
        assert unexpected.returncode == 6
        assert "the verdict is reproduced, not not_reproduced" in unexpected.stderr
        failed = loaded("reproduce", "2111.09543", "--wait")
        assert failed.returncode == 4
        assert "hub_unreachable" in failed.stderr
    finally:
        worker.terminate()
        assert worker.wait(timeout=120) == 0
