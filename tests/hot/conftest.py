"""The application and its client for the tests of this room, which ask what is answered from memory."""

import time

import pytest
from fastapi import FastAPI

from app.core.settings import ServingSettings, Settings
from app.core.settle import settle
from tests.api.fixtures import api, app, catalogue, client, database
from tests.api.fixtures import settings as plain_settings

__all__ = ["api", "app", "catalogue", "client", "database", "listening", "plain_settings", "settings"]


@pytest.fixture
def settings(plain_settings: Settings) -> Settings:
    """A lease that outlasts whatever a busy machine does, so that the same is in memory each time."""
    return plain_settings.model_copy(update={"serving": ServingSettings(lease_s=120)})


@pytest.fixture(autouse=True)
def listening(request: pytest.FixtureRequest) -> None:
    """Where a test has the application, it begins once changes are being heard, and those before it have been."""
    if "client" not in request.fixturenames:
        return
    for name in {"catalogue", "client"} & set(request.fixturenames):
        request.getfixturevalue(name)
    app: FastAPI = request.getfixturevalue("app")
    deadline = time.monotonic() + 60
    while not app.state.serving.listener.holds:
        assert time.monotonic() < deadline, "nothing is heard of changes"
        time.sleep(0.005)
    settle(app.state.database.engine)
