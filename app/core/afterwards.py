"""What a process that serves loads when it is ready, so that neither its start nor the first who needs it waits."""

import asyncio
from collections.abc import Sequence
from importlib import import_module
from threading import Thread
from types import TracebackType
from typing import Final, Self

from app.core.collector import freeze

_SETTLED_S: Final = 0.5
"""So long after it was ready: whoever waits for the process has had the first answer by then."""


class Afterwards:
    """A context inside of the lifespan: imports these modules in a thread, unless it is left before."""

    def __init__(self, modules: Sequence[str] = ()) -> None:
        self._modules: Final = modules
        self._later: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        if self._modules:
            # Not a daemon: one that is at the end of the process inside of an import may take it down.
            load = Thread(target=self._load, name="afterwards")
            self._later = asyncio.get_running_loop().call_later(_SETTLED_S, load.start)
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        if self._later is not None:
            self._later.cancel()

    def _load(self) -> None:
        for module in self._modules:
            import_module(module)
        freeze()
