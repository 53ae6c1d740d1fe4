"""What a user may only read stays readable, and what cannot be written is named."""

import stat
from pathlib import Path

import pytest
from unprivileged import as_user

from dreaming.errors import AccessError
from dreaming.io.atomic import discard_unfinished, is_writable, write_atomically
from dreaming.io.locks import lock, try_lock


@pytest.fixture
def finished(tmp_path):
    """A folder with a file that only its owner may write."""
    folder = tmp_path / "clip"
    folder.mkdir()
    (folder / "a.json").write_bytes(b"abc")
    (folder / ".a.json.host-1-1.part").touch()
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)


def refused(write) -> Path | None:
    try:
        write()
    except AccessError as error:
        return Path(error.where)
    return None


@pytest.mark.parametrize("what", ["writable", "same", "other", "new", "below", "lock", "try", "discard"])
def test_only_changes_are_refused(finished, what):
    def work():
        path = finished / "a.json"
        match what:
            case "writable":
                return not is_writable(finished)
            case "same":
                return refused(lambda: write_atomically(path, b"abc")) is None
            case "other":
                return refused(lambda: write_atomically(path, b"abd")) == path
            case "new":
                return refused(lambda: write_atomically(finished / "b", b"")) == finished / "b"
            case "below":
                return refused(lambda: write_atomically(finished / "c" / "b", b"")) == finished / "c" / "b"
            case "lock":
                with lock(finished, "x", "waiting"):
                    return not (finished / ".locks").exists()
            case "try":
                with try_lock(finished, "x") as is_mine:
                    return is_mine
            case "discard":
                discard_unfinished(finished, ["a.json"])
                return True

    assert as_user(finished, work) == 0


def test_a_file_with_the_same_bytes_is_not_written_again(tmp_path):
    path = tmp_path / "a"
    write_atomically(path, b"abc")
    before = path.stat()
    write_atomically(path, b"abc")
    assert path.stat().st_ino == before.st_ino
    write_atomically(path, b"abd")
    assert path.read_bytes() == b"abd"
    assert stat.S_ISREG(path.stat().st_mode)
