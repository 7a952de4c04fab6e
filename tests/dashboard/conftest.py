"""A service with everything that the pages can show: verdicts of all kinds, runs in all states, texts of examples."""

from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.core.db import Database
from app.core.settings import Settings
from tests.api.fixtures import app, catalogue, client, database
from tests.api.fixtures import settings as usual_settings
from tests.api.helpers import Api
from tests.dashboard.world import SPLIT_FILE, World, make_world, texts_table

__all__ = ["app", "catalogue", "client", "database", "usual_settings"]


@pytest.fixture
def settings(usual_settings: Settings, tmp_path: Path) -> Settings:
    """The catalogue's folder is the test's own, and holds the data file of the tiny split."""
    return usual_settings.model_copy(update={"catalogue_dir": tmp_path})


@pytest.fixture
def split_digest(tmp_path: Path) -> str:
    """The SHA-256 of the data file."""
    path = tmp_path / SPLIT_FILE
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table(texts_table()), path)
    return sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def world(client: Api, database: Database, split_digest: str) -> World:
    """All of it."""
    return make_world(client, database, split_digest)
