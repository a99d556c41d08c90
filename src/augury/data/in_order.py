"""Work on many items with as many threads as there are cores, results in the order of the items.

Threads, not processes: decoding and resizing let go of Python's lock, and processes would cost seconds to start.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[int, int], None]  # how many are done, how many there are

AHEAD = 16  # items under way per thread, so that results (pixels) never pile up


def map_in_order(
    work: Callable[[Item], Result], items: Sequence[Item], *, progress: Progress | None = None
) -> Iterator[Result]:
    """`work(item)` for each item, in order. An exception, also a Ctrl-C, drops what has not begun.

    >>> list(map_in_order(lambda x: x * x, [3, 1, 2]))
    [9, 1, 4]
    """
    threads = min(8, os.cpu_count() or 1)
    pool = ThreadPoolExecutor(max_workers=threads)
    waiting: deque[Future[Result]] = deque()
    rest = iter(items)
    try:
        for done in range(len(items)):
            while len(waiting) < threads * AHEAD and (item := next(rest, _END)) is not _END:
                waiting.append(pool.submit(work, item))  # type: ignore[arg-type]
            yield waiting.popleft().result()
            if progress is not None:
                progress(done + 1, len(items))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_END = object()
