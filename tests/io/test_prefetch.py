import signal
import threading
import time

import pytest

from dreaming import interruption
from dreaming.errors import FrameError
from dreaming.io.prefetch import prefetch_map


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_reading_ahead_keeps_order_and_distance(depth):
    begun = []

    def work(name):
        time.sleep(0.002 * (int(name) % 3))
        begun.append(int(name))
        return int(name)

    names = [str(number) for number in range(12)]
    for place, found in enumerate(prefetch_map(work, names, depth)):
        assert found == place
        wanted, deadline = min(place + depth, 11), time.monotonic() + 10
        while len(begun) <= wanted and time.monotonic() < deadline:
            time.sleep(0.001)
        assert max(begun) == wanted, "neither further ahead than asked for, nor less"


def test_an_error_ahead_comes_at_its_place():
    def work(name):
        if name == "2":
            raise FrameError("2.png", found="a", expected="b", hint="c")
        return name

    found = []
    with pytest.raises(FrameError):
        found.extend(iter_into(found, prefetch_map(work, list("0123"), 4)))
    assert found == ["0", "1"]


def iter_into(found, results):
    for result in results:
        found.append(result)
    return []


def test_a_reader_that_stops_early_stops_the_reading():
    begun = []
    results = prefetch_map(lambda name: begun.append(name) or name, [str(n) for n in range(50)], 2)
    assert next(results) == "0"
    results.close()
    assert len(begun) <= 3


@pytest.mark.parametrize("closed", [False, True])
def test_an_interruption_ends_what_threads_of_the_main_thread_prefetch(monkeypatch, closed):
    seen, begun = [], threading.Event()

    def work(item):
        if item == "ends":
            begun.wait(20)
            if closed:
                return item
            raise KeyboardInterrupt
        for number in prefetch_map(int, range(50_000), 1):
            seen.append(number)
            begun.set()
        return item

    results = prefetch_map(work, ["ends", "long"], 2)
    if closed:
        monkeypatch.setattr(interruption, "_received", signal.SIGINT)
        assert next(results) == "ends"
        results.close()
    else:
        with pytest.raises(KeyboardInterrupt):
            next(results)
    assert 0 < len(seen) < 50_000
    monkeypatch.undo()
    assert list(prefetch_map(int, "0123", 2)) == [0, 1, 2, 3]
