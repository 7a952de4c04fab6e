"""docs/exports.md: its table of columns is the schema's, and its snippets run as they stand, one after another."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import httpx
import yaml

from app.access.scopes import Scope
from app.catalogue.load import load_catalogue
from app.core.settings import Settings
from app.exports.dataset import COLUMNS
from app.exports.signing import create_key
from tests.api.helpers import PAPER, SPLIT, predictions_body
from tests.factories.databases import opened
from tests.factories.forks import Forks
from tests.factories.keys import make_key
from tests.factories.served import serving

PAGE: Final = Path(__file__).parents[2] / "docs" / "exports.md"


def test_the_columns_of_the_data_set_are_documented() -> None:
    documented = re.findall(r"(?m)^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|$", PAGE.read_text(encoding="utf-8"))
    expected = [(name, str(kind), words) for name, (kind, words) in COLUMNS.items()]
    assert [row for row in documented if row[0] in COLUMNS] == expected


def test_the_snippets_run(forks: Forks, database_url: str, redis_url: str, tmp_path: Path) -> None:
    snippets = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(snippets) >= 9
    with opened(database_url) as database:
        with database.unit_of_work() as session:
            load_catalogue(session, Settings().catalogue_dir)
        key = make_key(database, Scope.curate, Scope.post_verdicts).key
    create_key(tmp_path / "key.pem")
    signing = {"VERDICTS_SIGNING_KEY_FILE": str(tmp_path / "key.pem")}
    with serving(forks, database_url, redis_url, tmp_path, **signing) as served:
        names = list(SPLIT)
        body = predictions_body([(names[i % 3], names[i % 3]) for i in range(30)])
        address = f"{served.base}/v1/papers/{PAPER}/verdicts"
        posted = httpx.post(address, json=body, headers={"Authorization": f"Bearer {key}"}, timeout=60)
        assert posted.status_code == 201, posted.text
        folder = tmp_path / "reader"
        folder.mkdir()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("VERDICTS_")}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-euo", "pipefail"],
            input="\n".join(snippets),
            capture_output=True,
            text=True,
            cwd=folder,
            timeout=240,
            check=False,
            env=kept | {"PATH": path, "BASE": served.base, "KEY": key},
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"message":"inconclusive"' in done.stdout
    assert '{"registered":2,"known":0' in done.stdout
    assert '{"registered":1,"known":0' in done.stdout  # the number that was exported, now as a claim of its own
    assert "signature  good, of key" in done.stdout
    assert yaml.safe_load((folder / "paper-verdicts.yaml").read_text())[0]["dataset"]["id"] == "nyu-mll/glue"
    assert (folder / "crate" / "predictions.jsonl").read_bytes().count(b"\n") == 30
