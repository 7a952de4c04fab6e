"""Batches beside each other on a CPU: each in a thread of its own, whose products need not wait for other threads.

The products of a small model are short: split among threads, they spend much of their time at barriers. And one thread
adds up in one order, so that a batch has the same bits however many there are.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Final, TypeVar

import torch

from app.protocol.errors import DriverError

T = TypeVar("T")
R = TypeVar("R")
_MOST: Final = 8
"""Lanes of a CPU: each holds a batch's hidden states, and all of them share one interpreter."""
_AHEAD: Final = 2
"""Batches for each lane that are begun or done before their turn comes: a lane need not wait for a slower one."""


@dataclass(frozen=True, slots=True)
class Lanes:
    """`count` batches at once; where there is more than one, the products of each are split among `inside` threads."""

    count: int = 1
    inside: int = 1

    @property
    def ahead(self) -> int:
        """How many items are begun before an item's result is handed over."""
        return _AHEAD * self.count if self.count > 1 else 0

    def each(self, do: Callable[[T], R], items: Iterable[T]) -> Generator[R]:
        """`do` of each item, in the order of the items; what one of them raises comes in its turn, and is the end.

        Whoever closes the iterator waits for the items that are at work. One that does not fit into the memory beside
        the others is done once more when all of those are done.
        """
        if self.count == 1:
            yield from map(do, items)
            return
        threads = torch.get_num_threads()
        pool = ThreadPoolExecutor(self.count, "lane", initializer=_split, initargs=(self.inside,))
        try:
            yield from self._in_order(pool, do, items)
        finally:
            pool.shutdown(cancel_futures=True)
            # What was set in a lane is also what every new thread of the process would begin with.
            torch.set_num_threads(threads)

    def _in_order(self, pool: ThreadPoolExecutor, do: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        begun: deque[tuple[T, Future[R]]] = deque()
        for item in items:
            begun.append((item, pool.submit(do, item)))
            if len(begun) == self.ahead:
                yield _next(pool, do, begun)
        while begun:
            yield _next(pool, do, begun)


def lanes_of(device: torch.device, backend: str) -> Lanes:
    """How many batches go at once: on a CPU one a thread of torch's, up to eight, and the threads split among them.

    A GPU is busy with one. So is what goes through transformers: nobody promises that it can be called so.
    """
    if device.type != "cpu" or backend != "packed":
        return Lanes()
    threads = torch.get_num_threads()
    inside = -(-threads // _MOST)
    return Lanes(threads // inside, inside)


def _split(threads: int) -> None:
    # Asked first: a thread's first use of torch takes over what was set last in any thread, also after its own setting.
    torch.get_num_threads()
    torch.set_num_threads(threads)


def _next(pool: ThreadPoolExecutor, do: Callable[[T], R], begun: deque[tuple[T, Future[R]]]) -> R:
    item, future = begun.popleft()
    try:
        return future.result()
    except DriverError as error:
        if error.code != "out_of_memory":
            raise
    # The error in it keeps alive what there was no room for.
    del future
    wait([other for _, other in begun])
    return pool.submit(do, item).result()
