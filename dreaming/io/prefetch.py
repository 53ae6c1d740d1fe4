"""Computing items ahead of their consumer with a small thread pool."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from dreaming import interruption

S = TypeVar("S")
T = TypeVar("T")

_ending = threading.Event()
"""Set while the main thread, interrupted by a signal, waits for its threads."""


def prefetch_map(
    function: Callable[[S], T], items: Iterable[S], depth: int, *, prepare: Callable[[], object] | None = None
) -> Iterator[T]:
    """Yield ``function`` of each item in order, computed by ``depth`` threads at most ``depth`` items ahead.

    If ``items`` raises, the earlier items are still computed; if the consumer stops, no further item is started. Each
    thread calls ``prepare`` first. After a signal to the main thread, those calls that its threads make themselves stop
    at the next item, because an item of the main thread's may take minutes.
    """
    pending: deque[Future[T]] = deque()
    with ThreadPoolExecutor(max(1, depth), thread_name_prefix="prefetch", initializer=prepare) as pool:
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                _check()
                if len(pending) > depth:
                    yield pending.popleft().result()
            while pending:
                _check()
                yield pending.popleft().result()
        except (GeneratorExit, KeyboardInterrupt) as error:
            for future in pending:
                future.cancel()
            interrupted = isinstance(error, KeyboardInterrupt) or interruption.is_ending()
            if interrupted and threading.current_thread() is threading.main_thread():
                _ending.set()
                try:
                    pool.shutdown()
                finally:
                    _ending.clear()
            raise


def _check() -> None:
    if _ending.is_set():
        raise KeyboardInterrupt
