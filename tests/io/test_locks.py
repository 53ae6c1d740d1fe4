import logging

import filelock
import pytest

from dreaming.errors import ClipError
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


@pytest.mark.parametrize("linked", [".locks", ".locks/a.lock"])
def test_a_link_in_place_of_a_lock_is_refused(tmp_path, linked):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "a.lock").write_text("theirs")
    link = tmp_path / linked
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(theirs if linked == ".locks" else theirs / "a.lock")
    for call in (try_lock(tmp_path, "a"), lock(tmp_path, "a", "waiting")):
        with pytest.raises(ClipError) as refused, call:
            pass
        assert refused.value.where == str(link)
    assert (theirs / "a.lock").read_text() == "theirs"
