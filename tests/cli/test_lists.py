"""Lists in terminals of any width: what names a row is there to be copied, and nothing is cut off."""

import json
from typing import Final

from tests.cli.test_commands import Run, loaded, run

__all__ = ["loaded", "run"]

CLAIMS: Final = ("claims", "2004.13606", "--limit", "2")
KEY: Final = ("keys", "create", "--name", "a robot on the second floor", "--scope", "reproduce", "--scope", "curate")
DRIVER: Final = "bert-base-mnli-seed01-mismatched"
LISTS: Final = {
    ("papers",): ["arxiv_id", "title"],
    CLAIMS: ["id", "row", "column"],
    ("drivers",): ["slug", "protocol_match"],
    ("runs",): ["id", "driver", "state"],
    ("keys", "list"): ["prefix", "name"],
    ("audit",): ["action", "actor", "subject"],
}
"""Each with what it shows; the first names the row, but where the log's rows have no name."""


def test_nothing_is_cut_off(loaded: Run) -> None:
    assert loaded(*KEY).returncode == 0
    assert loaded("reproduce", "2004.13606", "--driver", DRIVER).returncode == 0
    for command, shown in LISTS.items():
        items = json.loads(loaded(*command, "--json").stdout)["items"]
        for width in (40, 80):
            lines = loaded(*command, COLUMNS=str(width)).stdout.splitlines()
            whole = "".join("".join(lines).split())  # a word that is longer than its column goes on in the next line
            words = {word for item in items for name in shown for word in item[name].split()}
            assert [word for word in words if word not in whole] == []
            assert [line for line in lines if len(line) > width and len(line.split()) > 2] == []
            assert [item[shown[0]] for item in items if not any(item[shown[0]] in line for line in lines)] == []


def test_a_pipe_gets_a_row_a_line_and_what_is_not_shown_is_said_beside_it(loaded: Run) -> None:
    head, *rows = loaded("drivers").stdout.splitlines()
    assert head.split() == ["driver", "measures", "protocol"]
    assert len(rows) == 23
    assert all(row.endswith(("proxy", "exact")) for row in rows)
    claims = loaded(*CLAIMS)
    assert (len(claims.stdout.splitlines()), claims.stderr) == (3, "there are more: --limit says how many are shown\n")
    none = loaded("webhooks", "list")
    assert (len(none.stdout.splitlines()), none.stderr) == (1, "no webhooks\n")
