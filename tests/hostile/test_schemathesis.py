"""Schemathesis over the whole OpenAPI document, with all its checks, against a real process on a real database.

It is derandomised: the same document gives the same requests. VERDICTS_TEST_DEPTH=20 asks for twenty times as many.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import httpx
import pytest

from app.catalogue.load import load_catalogue
from app.core.settings import Settings
from tests.factories.databases import opened
from tests.factories.forks import Forks
from tests.factories.keys import make_key
from tests.factories.served import serving

DEPTH: Final = int(os.environ.get("VERDICTS_TEST_DEPTH", "1"))
CONFIG: Final = Path(__file__).with_name("schemathesis.toml")
PHASES: Final = {"Examples", "Coverage", "Fuzzing", "Stateful"}


@pytest.mark.timeout(1200 + 60 * DEPTH)  # half a minute, but for a machine that is far too busy
def test_every_operation_keeps_what_the_document_promises(
    forks: Forks, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    with opened(database_url) as database:
        with database.unit_of_work() as session:
            load_catalogue(session, Settings().catalogue_dir)
        key = make_key(database).key
    # arXiv has no address here, so that no run of the tests asks it anything.
    unlimited = dict.fromkeys(("WRITES_PER_MINUTE", "WRITES_PER_MINUTE_ADDRESS", "QUOTA_RUNS"), "1000000")
    settings = {f"VERDICTS_ACCESS__{name}": number for name, number in unlimited.items()}
    settings |= {"VERDICTS_ARXIV__HOST": "arxiv.invalid"}
    settings |= {"VERDICTS_EVENTS__LONGEST_S": "0.1", "VERDICTS_EVENTS__POLL_S": "0.05"}  # nobody waits for their end
    with serving(forks, database_url, redis_url, tmp_path, **settings) as served:
        argv = [str(Path(sys.executable).with_name("schemathesis"))]
        argv += ["--config-file", str(deepened(tmp_path))]
        argv += ["run", f"{served.base}/openapi.json", "--checks", "all", "--no-color"]
        argv += ["--header", f"Authorization: Bearer {key}"]
        done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
        operations = httpx.get(f"{served.base}/openapi.json").json()["paths"]
    assert done.returncode == 0, done.stdout + done.stderr
    count = sum(len(methods) for methods in operations.values())
    assert f"Selected: {count}/{count}" in done.stdout
    assert f"Tested: {count}" in done.stdout
    assert all(f"✅ {phase}" in done.stdout for phase in PHASES), done.stdout


def deepened(folder: Path) -> Path:
    """The configuration with more examples in every phase, where that is asked for."""
    text = re.sub(
        r"(?m)^(max-examples = )(\d+)$", lambda found: f"{found[1]}{int(found[2]) * DEPTH}", CONFIG.read_text()
    )
    copy = folder / CONFIG.name
    copy.write_text(text)
    return copy
