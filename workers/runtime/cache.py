"""Keep the model of the last run warm: the next run of the same driver in this process starts at once."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Final

from workers.runtime.classifier import Classifier


class WarmModels:
    """At most `capacity` loaded classifiers, the least recently used one going first."""

    def __init__(self, capacity: int = 1) -> None:
        self._capacity = capacity
        self._models: OrderedDict[Hashable, Classifier] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, load: Callable[[], Classifier]) -> Classifier:
        """The classifier kept under `key`, or a newly loaded one. Room is made before loading, not after."""
        with self._lock:
            if key in self._models:
                self._models.move_to_end(key)
                return self._models[key]
            while len(self._models) >= self._capacity:
                self._models.popitem(last=False)
            classifier = load()
            self._models[key] = classifier
            return classifier

    def clear(self) -> None:
        """Let every model go."""
        with self._lock:
            self._models.clear()

    def __len__(self) -> int:
        return len(self._models)


warm_models: Final = WarmModels()
"""The process's own."""
