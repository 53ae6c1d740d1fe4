import time

import pytest

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
