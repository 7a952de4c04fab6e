"""`verdicts keys` and `verdicts audit`."""

import getpass
import json
import re

from app.access.errors import KeyInvalidError
from app.access.keyring import Keyring
from app.core.db import Database
from tests.cli.test_commands import Run, run
from tests.factories.databases import opened

__all__ = ["run"]


def test_a_key_is_made_shown_once_listed_and_revoked(run: Run, database_url: str) -> None:
    made = run("keys", "create", "--name", "a robot", "--scope", "reproduce", "--scope", "curate")
    assert made.returncode == 0
    key = made.stdout.strip()
    assert re.fullmatch(r"pv_[0-9a-f]{12}\.[\w-]{43}", key)
    assert "only time" in made.stderr
    prefix, secret = key.split(".")
    with opened(database_url) as database:
        assert works(database, key)
    (entry,) = json.loads(run("keys", "list", "--json").stdout)["items"]
    assert (entry["prefix"], entry["name"], entry["scopes"]) == (prefix, "a robot", ["curate", "reproduce"])
    assert entry["revoked_at"] is None
    listed = run("keys", "list").stdout
    assert prefix in listed
    assert secret not in listed + json.dumps(entry)
    assert run("keys", "revoke", prefix).stdout == f"{prefix} (a robot) is revoked\n"
    with opened(database_url) as database:
        assert not works(database, key)

    revoked, created = json.loads(run("audit", "--json", "--limit", "2").stdout)["items"]
    assert (revoked["action"], revoked["operation"]) == ("key.revoked", "verdicts keys revoke")
    assert (created["action"], created["operation"]) == ("key.created", "verdicts keys create")
    assert {revoked["actor"], created["actor"]} == {f"cli:{getpass.getuser()}"}
    assert created["subject"] == f"keys/{prefix}"
    shown = run("audit", "--subject", f"keys/{prefix}").stdout
    assert "key.revoked" in shown
    assert "key.created" in shown


def works(database: Database, key: str) -> bool:
    try:
        Keyring(database, 0).find(key)
    except KeyInvalidError:
        return False
    return True


def test_a_key_as_json_and_what_makes_no_sense(run: Run) -> None:
    made = json.loads(run("keys", "create", "--name", "x", "--scope", "read", "--json").stdout)
    assert made["key"].startswith(made["prefix"] + ".")
    assert made["scopes"] == ["read"]
    assert run("keys", "revoke", "pv_000000000000").returncode == 3


def test_a_narrow_terminal_does_not_cut_off_what_revokes_a_key(run: Run) -> None:
    made = json.loads(run("keys", "create", "--name", "b" * 90, "--scope", "post-verdicts", "--json").stdout)
    assert run("keys", "revoke", made["prefix"]).returncode == 0
    assert made["prefix"] in run("keys", "list").stdout  # with all moments, in 80 columns
