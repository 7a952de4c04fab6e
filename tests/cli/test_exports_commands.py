"""`verdicts signing-key`, `verdicts verify` and `verdicts claims import`."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pytest
from fastapi import FastAPI

from app.cli.commands import app as commands
from app.cli.failures import exit_code_of
from app.exports.signing import create_key
from tests.api.fixtures import app, catalogue, client, database, settings
from tests.api.helpers import PAPER, Api
from tests.exports.helpers import posted

__all__ = ["app", "catalogue", "client", "database", "settings"]


@dataclass(frozen=True, slots=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


Command: TypeAlias = Callable[..., Said]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in this process: two dozen processes would take a minute."""

    def call(*arguments: object) -> Said:
        words = list(map(str, arguments))
        monkeypatch.setattr(sys, "argv", ["verdicts", *words])
        capsys.readouterr()
        try:
            commands(words)
        except SystemExit as end:
            code = int(end.code or 0)
        except Exception as error:
            found = exit_code_of(error)
            if found is None:
                raise
            code = found
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return call


@dataclass(frozen=True, slots=True)
class Made:
    """One verdict's attestation, signed and bare, with its predictions beside it."""

    signed: Path
    bare: Path
    public_key: Path
    other_key: Path


@pytest.fixture
def made(client: Api, catalogue: Path, app: FastAPI, tmp_path: Path) -> Made:
    assert catalogue
    folder = tmp_path / "made"
    folder.mkdir()
    verdict = posted(client)
    address = f"/v1/verdicts/{verdict['id']}"
    (folder / "predictions.jsonl").write_bytes(client.get(f"{address}/predictions").content)
    (folder / "bare.json").write_bytes(client.get(f"{address}/export/in-toto").content)
    app.state.signing_key = create_key(folder / "key.pem")
    create_key(folder / "other.pem")
    (folder / "verdict.intoto.json").write_bytes(client.get(f"{address}/export/in-toto").content)
    return Made(folder / "verdict.intoto.json", folder / "bare.json", folder / "key.pem.pub", folder / "other.pem.pub")


def test_a_reader_verifies_without_any_service(made: Made) -> None:
    argv = [sys.executable, "-m", "app.cli", "verify", str(made.signed), "--public-key", str(made.public_key)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False, env={"PATH": ""})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("inconclusive  confidence ")
    assert "counted anew from the predictions" in done.stdout


def test_a_reader_hears_what_is_wrong(made: Made, command: Command, tmp_path: Path) -> None:
    good = command("verify", made.signed, "--public-key", made.public_key, "--json")
    said = json.loads(good.out)
    assert (good.code, said["status"], said["recounted"]) == (0, "inconclusive", True)
    assert said["files"] == ["predictions.jsonl"]
    assert len(said["signed_by"]) == 64
    assert "signature  not checked" in command("verify", made.bare, "--unsigned").out
    other, liar = tmp_path / "other", made.bare.with_name("liar.json")
    other.write_text("another file")
    liar.write_bytes(made.bare.read_bytes().replace(b'"status":"inconclusive"', b'"status":"reproduced"'))
    (tmp_path / "nonsense.json").write_text("{}")
    signed = (made.signed, "--public-key", made.public_key)
    for arguments, code, words in (
        ((made.signed, "--public-key", made.other_key), 7, "no signature of it"),
        ((made.bare, "--public-key", made.public_key), 7, "nobody has signed it"),
        ((*signed, "--predictions", other), 8, "SHA-256 is another"),
        ((*signed, "--also", other), 8, "none of the files"),
        ((liar, "--unsigned"), 9, "another status"),
        ((tmp_path / "nonsense.json", "--unsigned"), 1, "no attestation of a verdict"),
        ((tmp_path / "nothing.json", "--unsigned"), 5, "No such file"),
        ((made.signed, "--public-key", other), 5, "no public key in PEM"),
        ((made.signed,), 2, "public-key"),
    ):
        done = command("verify", *arguments)
        assert (done.code, done.out) == (code, ""), done
        assert words in done.err


def test_a_signing_key_is_made_once(command: Command, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    first = command("signing-key", "create", key)
    assert (first.code, first.out) == (0, (tmp_path / "key.pem.pub").read_text())
    assert "PRIVATE" not in first.out + first.err
    again = command("signing-key", "create", key)
    assert again.code == 5
    assert "exists" in again.err


def test_claims_are_imported_or_each_refusal_is_named(
    client: Api,
    command: Command,
    database_url: str,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    client.put_paper()
    monkeypatch.setenv("VERDICTS_DATABASE_URL", database_url)
    monkeypatch.setenv("VERDICTS_REDIS_URL", redis_url)
    sheet = tmp_path / "claims.csv"
    sheet.write_text("section,row,column,reported_value,unit,quoted_text,n_items\nT,R,C,22.4,percent,x,124\nT,R\n")
    ragged = command("claims", "import", PAPER, sheet)
    assert ragged.code == 1
    assert "line 3 has 2 cells" in ragged.err
    sheet.write_text(sheet.read_text().rpartition("T,R\n")[0])
    refused = command("claims", "import", PAPER, sheet)
    assert refused.code == 1
    assert "line.2.reported_value: No k/124 rounds to 22.4" in refused.err
    brought = command("claims", "import", PAPER, sheet, "--force", "--json")
    assert json.loads(brought.out)["registered"] == 1
    known = command("claims", "import", PAPER, sheet, "--force")
    assert known.out == f"{PAPER}: 0 claims registered, 1 known already\n"
    entry = client.get("/v1/audit?limit=1").json()["items"][0]
    assert (entry["action"], entry["operation"]) == ("claims.imported", "verdicts claims import")
    assert command("claims", "import", "2101.00001", sheet).code == 3
    assert command("claims", "import", PAPER, tmp_path / "claims.txt").code == 2
    assert command("claims", "import", PAPER, sheet, "--unit", "inch").code == 2
    assert command("claims", "import", PAPER, tmp_path / "no.csv").code == 5
