"""What all that answers from the database has."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from sqlalchemy.orm import Session

from app.cli.connection import connected
from app.cli.service import session_of
from app.core.settings import Settings


class Local:
    """Answers from the database that is found by the data folder, or by the environment, once it is needed."""

    def __init__(self, data_dir: Path | None, settings: Settings | None = None) -> None:
        """`settings` are those of a service that the caller runs itself."""
        self._data_dir, self._given = data_dir, settings

    @cached_property
    def settings(self) -> Settings:
        """With both URLs. Raises CommandError where nothing runs."""
        return self.find()

    def find(self) -> Settings:
        """The same, looked for anew: a service that was started again may be somewhere else."""
        return self._given or connected(self._data_dir)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """One unit of work."""
        with session_of(self.settings) as session:
            yield session
