"""One peer in a process of its own: its memory, threads and allocator are its own. Speaks JSON lines."""

import json
import os
import sys
from pathlib import Path
from threading import Event, Thread
from time import perf_counter, process_time
from typing import Any, Self

import numpy as np
import torch

from evaluator.peers import PEERS, Peer, Settings
from evaluator.work import multiply_rates

_PAGE = os.sysconf("SC_PAGE_SIZE")


class PeakMemory:
    """The largest anonymous memory of this process while the block runs; file pages are the cache's, and left out."""

    def __init__(self) -> None:
        self.peak = 0
        self._stop = Event()
        self._thread = Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.01):
            self.peak = max(self.peak, anonymous_bytes())


def anonymous_bytes() -> int:
    """The resident memory of this process that no file backs."""
    resident, shared = map(int, Path("/proc/self/statm").read_text().split()[1:3])
    return (resident - shared) * _PAGE


def serve(name: str, settings: Settings, pairs: list[tuple[str, str]]) -> None:
    """Load, answer once to warm up (memory is watched), then once more for every line that comes in."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not mix with the answers

    def say(**what: Any) -> None:  # noqa: ANN401 - JSON
        out.write(json.dumps(what) + "\n")
        out.flush()

    torch.set_num_threads(settings.threads)
    if name == "multiply":
        say(ready=True)
        for _ in sys.stdin:
            say(rates=multiply_rates(settings.device))
        return
    idle = anonymous_bytes()
    with PeakMemory() as memory:
        peer = PEERS[name](settings)
        logits = peer.answer(pairs)
    on_gpu = settings.device.type == "cuda"
    peak = torch.cuda.max_memory_allocated() if on_gpu else memory.peak
    np.save(settings.folder / f"{name}.npy", logits)
    say(ready=True, idle_bytes=idle, peak_bytes=peak, facts=peer.facts)
    for _ in sys.stdin:
        say(**_round(peer, pairs))


def _round(peer: Peer, pairs: list[tuple[str, str]]) -> dict[str, Any]:
    before = peer.facts.get("tokens", 0)
    cpu, wall = process_time(), perf_counter()
    peer.answer(pairs)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    cpu, wall = process_time() - cpu, perf_counter() - wall
    return {"cpu_s": cpu, "wall_s": wall, "facts": peer.facts | {"tokens": peer.facts.get("tokens", 0) - before}}


if __name__ == "__main__":
    task = json.loads(sys.argv[1])
    chosen = Settings(Path(task["folder"]), torch.device(task["device"]), task["threads"], task["budget"])
    texts = [tuple(pair) for pair in json.loads((chosen.folder / "pairs.json").read_text("utf-8"))]
    serve(task["name"], chosen, texts)
