"""Pictures written in one order come back in another, and leave nothing behind."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from dreaming.io.disk_buffer import DiskBuffer


def test_pictures_come_back_in_any_order_and_nothing_stays(tmp_path):
    rng = np.random.default_rng(0)
    kept = {f"{n}": [rng.integers(0, 255, (5, n + 1), np.uint8), np.zeros((2, 2), np.uint8)] for n in range(6)}
    with DiskBuffer(tmp_path, "pictures", 6, 100) as buffer:
        for name in reversed(kept):
            buffer.write(name, kept[name])
            for known in list(kept)[int(name) :]:  # reading between writes does not disturb them
                for found, expected in zip(buffer.read(known), kept[known], strict=True):
                    np.testing.assert_array_equal(found, expected)
        assert "3" in buffer
        assert "7" not in buffer
    assert not list(tmp_path.iterdir())


def test_several_threads_write_and_read_at_once(tmp_path):
    # Hard to compress and larger than a file's buffer, so that a write in between would show.
    kept = {number: [np.random.default_rng(number).integers(0, 255, (200, 100), np.uint8)] for number in range(200)}
    with DiskBuffer(tmp_path, "pictures", 6, 100) as buffer, ThreadPoolExecutor(8) as pool:

        def round_trips(number):
            buffer.write(number, kept[number])
            return buffer.read(number)[0]

        for number, found in enumerate(pool.map(round_trips, kept)):
            np.testing.assert_array_equal(found, kept[number][0])
