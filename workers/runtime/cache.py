"""Keep the models of the last runs warm while there is memory: the next run of such a driver starts at once."""

import gc
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock
from typing import Final

import torch

from workers.runtime.classifier import Classifier
from workers.runtime.memory import Measure, is_out_of_memory, memory_of, return_freed_memory

MOST: Final = 4
SHARE: Final = 0.5
"""Of the device's whole memory, for all warm models together."""
SPARE: Final = 1 << 30
"""What a run needs beside its weights."""
_CPU: Final = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class _Warm:
    classifier: Classifier
    device: torch.device
    size: int


class WarmModels:
    """At most `most` loaded classifiers, the least recently used one going first where there is no room for another.

    Room is: fewer than `most` of them, all on the device in half of its memory, and the new one's weights and a GiB
    free. The newest is always kept.
    """

    def __init__(self, most: int = MOST, measure: Measure = memory_of) -> None:
        self._most = most
        self._measure = measure
        self._models: OrderedDict[Hashable, _Warm] = OrderedDict()
        self._lock = Lock()

    def get(
        self, key: Hashable, load: Callable[[], Classifier], *, needs: int = 0, device: torch.device = _CPU
    ) -> Classifier:
        """The classifier kept under `key`, or a newly loaded one that keeps `needs` bytes on the device.

        Room is made before loading, not after; where memory runs out all the same, every other model goes, and it is
        loaded once more.
        """
        with self._lock:
            if key in self._models:
                self._models.move_to_end(key)
                return self._models[key].classifier
            while self._models and not self._has_room(needs, device):
                self._models.popitem(last=False)
                _return_memory()
            classifier = self._loaded(load)
            self._models[key] = _Warm(classifier, device, needs)
            return classifier

    def _has_room(self, needs: int, device: torch.device) -> bool:
        memory = self._measure(device)
        kept = sum(warm.size for warm in self._models.values() if warm.device == device)
        fits = kept + needs <= SHARE * memory.total and needs + SPARE <= memory.free
        return len(self._models) < self._most and fits

    def _loaded(self, load: Callable[[], Classifier]) -> Classifier:
        try:
            return load()
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error) or not self._models:
                raise
        # Outside the handler: the exception keeps alive what was loaded so far.
        self._models.clear()
        _return_memory()
        return load()

    def clear(self) -> None:
        """Let every model go."""
        with self._lock:
            self._models.clear()

    def __len__(self) -> int:
        return len(self._models)


def _return_memory() -> None:
    gc.collect()
    return_freed_memory()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


warm_models: Final = WarmModels()
"""The process's own."""
