from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.workers.runtime.fakes import FakeBackend, classifier
from workers.runtime.cache import SPARE, WarmModels
from workers.runtime.classifier import Classifier
from workers.runtime.memory import Memory, host_memory, memory_of

pytestmark = pytest.mark.worker

GIB = 1 << 30


class Device:
    """A device with so many GiB, of which `free` is free; models that are let go give theirs back."""

    def __init__(self, total: int, free: int) -> None:
        self.total, self.free = total * GIB, free * GIB

    def __call__(self, _: torch.device) -> Memory:
        return Memory(self.total, self.free)


def _fresh() -> Classifier:
    return classifier(FakeBackend())


def _load(warm: WarmModels, name: str, gib: int = 1, load: Callable[[], Classifier] = _fresh) -> Classifier:
    return warm.get(name, load, needs=gib * GIB)


def test_models_are_kept_while_there_is_memory() -> None:
    warm = WarmModels(measure=Device(64, 32))
    kept = {name: _load(warm, name) for name in "abc"}
    assert all(_load(warm, name) is kept[name] for name in "abc")
    assert len(warm) == 3


def test_no_more_than_so_many_and_the_least_recently_used_goes() -> None:
    warm = WarmModels(most=2, measure=Device(64, 32))
    kept = {name: _load(warm, name) for name in "ab"}
    assert _load(warm, "a") is kept["a"]
    _load(warm, "c")
    assert _load(warm, "a") is kept["a"]
    assert _load(warm, "b") is not kept["b"]


def test_a_model_that_needs_the_memory_sends_others_away_before_it_is_loaded() -> None:
    device = Device(64, 5)
    warm = WarmModels(measure=device)
    _load(warm, "a", 3)
    device.free = 2 * GIB
    held = []

    def load() -> Classifier:
        held.append(len(warm))
        return _fresh()

    _load(warm, "b", 2, load)
    assert held == [0]
    device.free = 2 * GIB + SPARE
    _load(warm, "c", 2, load)
    assert held == [0, 1]


def test_all_of_them_stay_within_half_of_the_device() -> None:
    warm = WarmModels(measure=Device(10, 10))
    for name in "abc":
        _load(warm, name, 2)
    assert len(warm) == 2
    _load(warm, "large", 9)  # larger than half by itself: kept alone
    assert len(warm) == 1


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory")])
def test_where_memory_runs_out_all_others_go_and_it_is_loaded_again(error: Exception) -> None:
    warm, held = WarmModels(measure=Device(64, 32)), []

    def load() -> Classifier:
        held.append(len(warm))
        if len(held) == 1:
            raise error
        return _fresh()

    _load(warm, "a")
    assert _load(warm, "b", 1, load) is _load(warm, "b")
    assert held == [1, 0]
    with pytest.raises(type(error)):
        WarmModels(measure=Device(64, 32)).get("c", lambda: (_ for _ in ()).throw(error))


def test_a_load_that_fails_leaves_no_trace() -> None:
    warm = WarmModels()
    with pytest.raises(ZeroDivisionError):
        warm.get("a", lambda: 1 / 0)  # type: ignore[arg-type,return-value]
    assert len(warm) == 0
    assert _load(warm, "a")


def test_the_hosts_memory_and_a_containers_limit(tmp_path: Path) -> None:
    host = tmp_path / "meminfo"
    host.write_text("MemTotal:       16777216 kB\nMemFree:  1 kB\nMemAvailable:    8388608 kB\nHugePages_Total:  0\n")
    assert host_memory(host, tmp_path / "none") == Memory(16 * GIB, 8 * GIB)
    for name, content in {"memory.max": "max", "memory.current": "1", "memory.stat": "inactive_file 5"}.items():
        (tmp_path / name).write_text(f"{content}\n")
    assert host_memory(host, tmp_path) == Memory(16 * GIB, 8 * GIB)
    (tmp_path / "memory.max").write_text(f"{4 * GIB}\n")
    (tmp_path / "memory.current").write_text(f"{3 * GIB}\n")
    (tmp_path / "memory.stat").write_text(f"anon 7\ninactive_file {GIB // 2}\n")
    assert host_memory(host, tmp_path) == Memory(4 * GIB, GIB + GIB // 2)
    here = memory_of(torch.device("cpu"))
    assert 0 < here.free <= here.total
