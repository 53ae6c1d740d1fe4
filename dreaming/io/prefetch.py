"""Computing items ahead of their consumer with a small thread pool."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


def prefetch_map(function: Callable[[S], T], items: Iterable[S], depth: int) -> Iterator[T]:
    """``function`` of each item, in order, computed by ``depth`` threads at most that many ahead of the reader.

    Where the items end in an error, those that came before it are still done; where the reader leaves, no new one is.
    """
    pending: deque[Future[T]] = deque()
    with ThreadPoolExecutor(max_workers=max(1, depth), thread_name_prefix="ahead") as pool:
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
