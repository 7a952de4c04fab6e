"""The commands against a service elsewhere: the same words, the same JSON, the same exit codes."""

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from app.access.scopes import Scope
from app.cli import main
from app.client import Client
from tests.cli.test_commands import GOLDEN
from tests.client.conftest import World, world
from tests.client.scripted import PATIENCE_S
from tests.factories.keys import make_key

__all__ = ["world"]
PAPER = "2101.00001"


@dataclass(frozen=True)
class Done:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`verdicts ARGUMENTS` with the service named in the environment, in this process."""
    for name in ("VERDICTS_DATABASE_URL", "VERDICTS_REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VERDICTS_SERVER", world.url)
    monkeypatch.setenv("VERDICTS_KEY", world.key)

    def command(*arguments: str, program: str = "verdicts", **environment: str) -> Done:
        monkeypatch.setattr(sys, "argv", [program, *arguments])
        with pytest.MonkeyPatch.context() as changed:
            for name, value in environment.items():
                changed.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                main()
        said = capsys.readouterr()
        return Done(int(ended.value.code or 0), said.out, said.err)

    return command


@pytest.mark.parametrize(
    ("arguments", "path", "shown"),
    [
        (("papers", "title"), "/v1/papers?q=title&limit=50", PAPER),
        (("show", PAPER), f"/v1/papers/{PAPER}", "A title"),
        (("claims", "list", PAPER), f"/v1/papers/{PAPER}/claims?limit=50", "75.0 %"),
        (("drivers",), "/v1/drivers?limit=200", "tiny"),
        (("runs", "--paper", PAPER), f"/v1/reproductions?paper={PAPER}&limit=20", "driver"),
        (("runs", "--state", "expired"), "/v1/reproductions?state=expired&limit=20", "state"),
    ],
)
def test_what_is_read_is_what_the_service_says(
    run: Run, world: World, arguments: tuple[str, ...], path: str, shown: str
) -> None:
    done = run(*arguments, "--json")
    assert (done.code, done.err) == (0, "")
    assert done.out == httpx.get(world.url + path).text + "\n"
    assert shown in run(*arguments).out
    assert run(*arguments, "--server", world.url, VERDICTS_SERVER="http://127.0.0.1:9").code == 0
    before = run("--server", world.url, *arguments, "--json", VERDICTS_SERVER="http://127.0.0.1:9")
    assert (before.code, before.out) == (0, done.out)


def test_the_audit_log_takes_a_key_that_may(run: Run, world: World) -> None:
    assert json.loads(run("audit", "--limit", "1", "--json").out)["items"]
    refused = run("audit", VERDICTS_KEY=make_key(world.database, Scope.read).key)
    assert refused.code == 1
    assert "scope `admin`" in refused.err


def test_a_run_is_asked_for_and_followed_to_its_verdict(run: Run, world: World) -> None:
    worker = world.worker()
    worker.start()
    wait = ("reproduce", PAPER, "--driver", "tiny", "--wait")
    done = run(*wait, "--expect", "reproduced", "--json")
    worker.join()
    assert done.code == 0, done.err
    assert json.loads(done.out)["status"] == "reproduced"
    assert "tiny on 2101.00001, run " in done.err  # beside what was asked for

    worker = world.worker()
    worker.start()
    other = run(*wait, "--expect", "not_reproduced")
    worker.join()
    assert other.code == 6
    assert "75.00 % on this split" in other.out
    assert other.err.splitlines()[-1] == "verdicts: the verdict is reproduced, not not_reproduced"
    run_id = json.loads(done.out)["reproduction"]
    drawn = StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.cli.follow.aside", Console(file=drawn, force_terminal=True, width=80))
        assert "75.00 % on this split" in run("follow", run_id).out
    assert "succeeded" in drawn.getvalue()
    assert "75.00" not in drawn.getvalue()  # with the interval for watching, beside a verdict that has none
    assert json.loads(run("follow", run_id, "--json").out)["id"] == json.loads(done.out)["id"]
    head, *rows = run("runs", "--state", "succeeded").out.splitlines()
    assert head.split() == ["run", "driver", "state", "verdict"]
    assert [run_id, "tiny", "succeeded", "reproduced"] in [row.split() for row in rows]


def test_a_run_that_is_cancelled_under_the_one_who_waits(run: Run, world: World) -> None:
    def cancel() -> None:
        with Client(world.url, world.key) as client:
            deadline = time.monotonic() + PATIENCE_S
            while not (waiting := list(client.reproductions(state="queued", kind="PRE"))):
                assert time.monotonic() < deadline, "nobody asked for a run"
            client.cancel(waiting[0].id)

    with ThreadPoolExecutor(1) as threads:
        cancelled = threads.submit(cancel)
        done = run("reproduce", PAPER, "--kind", "PRE", "--wait")
        cancelled.result()
    assert done.code == 4
    assert "was cancelled" in done.err


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "said"),
    [
        (("show", "2111.99999"), {}, 3, "no paper 2111.99999"),
        (("show", "9912.00001"), {}, 3, "arXiv cannot have it"),
        (("import", f"{PAPER}v1"), {}, 2, "Leave out the v1"),
        (("reproduce", PAPER, "--driver", "no-such"), {}, 3, "no driver 'no-such'"),
        (("reproduce", PAPER), {"VERDICTS_KEY": ""}, 1, "This takes an API key, in VERDICTS_KEY or after --key"),
        (("drivers", "--load"), {}, 1, "run it there"),
        (("import", "draft:my-paper"), {}, 3, "draft:my-paper"),
        (("import", "missing.json"), {}, 5, "cannot be read"),
        (("follow", "0197f3a0-0000-7000-8000-00000000dead"), {}, 3, "no reproduction"),
        (("cancel", "0197f3a0-0000-7000-8000-00000000dead"), {}, 3, "no reproduction"),
        (("claims", "import", PAPER, "missing.csv"), {}, 5, "cannot be read"),
        (("papers",), {"VERDICTS_SERVER": "localhost:1"}, 1, "no address of a service"),
        (("papers",), {"VERDICTS_SERVER": "http://127.0.0.1:9"}, 5, "http://127.0.0.1:9 does not answer"),
        (("papers", "--data-dir", "/nowhere"), {}, 1, "not both"),
        (("--data-dir", "/nowhere", "papers"), {}, 1, "not both"),
        (("--server", "http://127.0.0.1:9", "papers", "--server", "localhost:1"), {}, 1, "no address of a service"),
    ],
)
def test_errors_are_short_and_have_their_exit_code(
    run: Run, arguments: tuple[str, ...], environment: dict[str, str], code: int, said: str
) -> None:
    done = run(*arguments, **environment)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert done.err.startswith("verdicts: ")
    assert done.err.count("\n") == 1


def test_a_run_is_cancelled(run: Run) -> None:
    asked = json.loads(run("reproduce", PAPER, "--kind", "PRE", "--json").out)
    listed = run("runs", "--state", "queued").out
    assert asked["id"] in listed
    assert listed.split()[-1] == "queued"
    done = run("cancel", asked["id"])
    assert (done.code, done.out) == (0, f"run {asked['id']} is cancelled\n")
    assert json.loads(run("cancel", asked["id"], "--json").out)["state"] == "cancelled"


def test_a_command_to_be_copied_is_a_line_of_its_own_and_is_found_by_the_shell(run: Run, world: World) -> None:
    elsewhere = {"program": str(Path(sys.executable).with_name("verdicts")), "PATH": "/nowhere"}
    ask = ("reproduce", PAPER, "--kind", "PRE", "--server", world.url)
    said = run(*ask, **elsewhere, VERDICTS_SERVER="http://127.0.0.1:9").out
    run_id = said.split()[1]
    assert said.splitlines()[-1] == f"  {elsewhere['program']} follow {run_id} --server {world.url}"
    assert run(*ask).out.splitlines()[-1] == f"  verdicts follow {run_id}"
    assert run("cancel", run_id).code == 0


def test_a_webhook_is_registered_listed_and_removed(run: Run, world: World) -> None:
    refused = run("webhooks", "register", "http://127.0.0.1:9/hook")
    assert (refused.code, "https" in refused.err) == (1, True)
    # An address by its number takes no look into the DNS.
    made = json.loads(run("webhooks", "register", "https://93.184.215.14/", "--event", "verdict.issued", "--json").out)
    assert made["secret"].startswith("whsec_")
    assert (made["events"], made["owner"]) == (["verdict.issued"], world.key.partition(".")[0])
    assert made["url"] in run("webhooks", "list").out
    assert run("webhooks", "remove", made["id"]).out == f"{made['id']} is removed\n"
    assert json.loads(run("webhooks", "list", "--json").out)["items"] == []


def test_files_are_sent_to_the_service(run: Run, world: World, tmp_path: Path) -> None:
    document = run("import", str(GOLDEN), "--json")
    assert json.loads(document.out) == {"arxiv_id": "2111.09543", "verdicts": 1, "known": 0}
    assert httpx.get(f"{world.url}/v1/papers/2111.09543").json() == json.loads(GOLDEN.read_text())
    again = run("import", str(GOLDEN))
    assert again.out == "2111.09543: 1 verdicts, 1 of them known already\n"
    other = run("import", str(GOLDEN), VERDICTS_KEY=make_key(world.database, Scope.curate).key)
    assert (other.code, "scope `admin`" in other.err) == (1, True)

    sheet = tmp_path / "claims.csv"
    sheet.write_text("section,row,column,reported_value,unit,quoted_text,n_items\nT,R,C,22.4,percent,x,124\n")
    refused = run("claims", "import", "2111.09543", str(sheet))
    assert (refused.code, refused.out) == (1, "")
    assert "line.2.reported_value: No k/124 rounds to 22.4" in refused.err
    brought = run("claims", "import", "2111.09543", str(sheet), "--force")
    assert brought.out == "2111.09543: 1 claims registered, 0 known already\n"


def test_what_mends_it_is_a_command_about_the_same_service(run: Run, world: World) -> None:
    ask = ("reproduce", PAPER, "--driver", "no-such")
    assert run(*ask).err == "verdicts: There is no driver 'no-such'; `verdicts drivers` lists them.\n"
    elsewhere = run(*ask, "--server", world.url, VERDICTS_SERVER="http://127.0.0.1:9").err
    assert f"`verdicts drivers --server {world.url}` lists them." in elsewhere
    make = "verdicts keys create --name me --scope {}`"
    missing = run(*ask, VERDICTS_KEY="").err
    assert "VERDICTS_KEY or after --key" in missing
    assert make.format("reproduce") in missing
    assert "Authorization" not in missing
    assert make.format("curate") in run("import", PAPER, "--key", "x").err
    assert make.format("admin") in run("audit", VERDICTS_KEY=make_key(world.database, Scope.read).key).err
    assert "take one without a path" in run("papers", "--server", f"{world.url}/elsewhere").err
