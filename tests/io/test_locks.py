import logging

import filelock
import pytest

from dreaming.io.locks import lock, try_lock


def test_only_one_holds_a_lock(tmp_path):
    with try_lock(tmp_path, "masks/gmm") as first, try_lock(tmp_path, "masks/gmm") as second:
        assert (first, second) == (True, False)
    with try_lock(tmp_path, "masks/gmm") as after:
        assert after


def test_names_that_only_look_alike_are_different_locks(tmp_path):
    long = "a" * 240
    with try_lock(tmp_path, "a/b"), try_lock(tmp_path, long):
        for name in ("a-b", "a+b", "a%2Fb", long[:-1], long + "a"):
            with try_lock(tmp_path, name) as is_free:
                assert is_free, name


def test_waiting_is_logged_only_where_somebody_else_holds_it(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    with lock(tmp_path, "a", "waiting"):
        pass
    assert not caplog.records
    with pytest.raises(ValueError, match="mine"), lock(tmp_path, "a", "waiting"):
        raise ValueError("mine")
    filelock.FileLock(tmp_path / ".locks" / "a.lock").acquire(timeout=0)
