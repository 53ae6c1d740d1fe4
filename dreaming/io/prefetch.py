"""Computing items ahead of their consumer with a small thread pool."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


def prefetch_map(
    function: Callable[[S], T], items: Iterable[S], depth: int, *, prepare: Callable[[], object] | None = None
) -> Iterator[T]:
    """Yield ``function`` of each item in order, computed by ``depth`` threads at most ``depth`` items ahead.

    If ``items`` raises, the earlier items are still computed; if the consumer stops, no further item is started. Each
    thread calls ``prepare`` first.
    """
    pending: deque[Future[T]] = deque()
    with ThreadPoolExecutor(max(1, depth), thread_name_prefix="prefetch", initializer=prepare) as pool:
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) > depth:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        except GeneratorExit:
            for future in pending:
                future.cancel()
            raise
