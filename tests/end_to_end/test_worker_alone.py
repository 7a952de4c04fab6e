"""A machine that only works: what the guide has its user type there, on a real Postgres and a real Redis elsewhere."""

import os
from pathlib import Path

import pytest

from app.catalogue.load import load_catalogue
from app.core.settings import Settings
from tests.docs.blocks import block
from tests.factories.clone import installed_clone
from tests.factories.databases import opened
from tests.factories.forks import Forks
from tests.factories.typed import typed, with_real

pytestmark = [pytest.mark.worker, pytest.mark.timeout(900)]


def test_a_worker_started_as_the_guide_says_measures(
    forks: Forks, database_url: str, redis_url: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with opened(database_url) as database, database.unit_of_work() as session:
        load_catalogue(session, Settings().catalogue_dir)
    code = with_real(
        block("docs/guides/run-on-your-gpus.md", "deploy/setup.sh embedded,worker").code,
        {
            "postgresql+psycopg://user:password@db.example/verdicts": database_url,
            "redis://redis.example:6379/0": redis_url,
        },
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VERDICTS_")}
    clone, log = installed_clone(tmp_path_factory), tmp_path / "worker.log"
    with typed(code, clone, kept | {"VERDICTS_DATA_DIR": str(tmp_path / "worker")}, log):
        asking = {"VERDICTS_DATABASE_URL": database_url, "VERDICTS_REDIS_URL": redis_url}
        asking |= {"VERDICTS_DATA_DIR": str(tmp_path / "asking")}
        argv = ["reproduce", "2004.13606", "--driver", "bert-base-mnli-seed01-matched", "--wait"]
        done = forks.run([*argv, "--expect", "reproduced"], kept | asking, tmp_path)
    assert (done.returncode, "reproduced" in done.stdout) == (0, True), done.stdout + done.stderr + log.read_text()
