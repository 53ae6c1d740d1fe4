import errno
import os
import resource
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from dreaming.errors import ClipError, SpaceError
from dreaming.io.atomic import discard_unfinished, owner, temporary_path, write_atomically


@contextmanager
def small_files():
    """No file may grow beyond 4 KiB: what the system says then is what a full disk's write says, but for the number.

    Not for longer than a call: pytest itself may be writing to a file.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_no_space_left_keeps_the_old_file_and_nothing_else(tmp_path):
    write_atomically(tmp_path / "a.png", b"old")
    with pytest.raises(SpaceError) as error, small_files():
        write_atomically(tmp_path / "a.png", bytes(9000))
    assert error.value.where == str(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("call", ["mkdir", "open"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_for_a_folder_or_name_is_told_alike(tmp_path, monkeypatch, call, number):
    def full(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, call, full)
    with pytest.raises(SpaceError):
        write_atomically(tmp_path / "new" / "a.png", b"data")


def test_other_faults_of_the_system_pass_through_and_leave_nothing(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomically(tmp_path / "a.png", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_reader_never_sees_half_a_file(tmp_path):
    path, sizes, done = tmp_path / "a", set(), threading.Event()
    contents = [bytes([k]) * (1 << 20) for k in range(12)]
    write_atomically(path, contents[0])

    def read():
        while not done.is_set():
            data = path.read_bytes()
            sizes.add((len(data), len(set(data[:: 1 << 14]))))

    reader = threading.Thread(target=read)
    reader.start()
    for data in contents:
        write_atomically(path, data)
    done.set()
    reader.join()
    assert sizes == {(1 << 20, 1)}


def temporary(folder, name, process):
    path = folder / f".{name}.{process}-0.part"
    path.touch()
    return path


def test_temporary_files_of_dead_processes_are_removed_by_name(tmp_path):
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    host = owner().rpartition("-")[0]
    dead = f"{host}-{ended.pid}"
    gone = [temporary(tmp_path, "1.png", process) for process in (dead, owner(), "elsewhere-1")]
    stays = [temporary(tmp_path, name, dead) for name in ("2.png", "11.png", "1")]
    stays += [tmp_path / name for name in (".1.png", "1.png", "1.part")]
    for path in stays:
        path.touch()
    discard_unfinished(tmp_path, ["1.png", "3.png"])
    assert not any(path.exists() for path in gone)
    assert set(tmp_path.iterdir()) == set(stays)
    discard_unfinished(tmp_path / "absent", ["1.png"])


def test_the_temporary_file_of_a_running_process_stays(tmp_path):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as running:
        path = temporary(tmp_path, "1.png", f"{owner().rpartition('-')[0]}-{running.pid}")
        discard_unfinished(tmp_path, ["1.png"])
        assert path.exists()
        running.communicate(b"\n")
    discard_unfinished(tmp_path, ["1.png"])
    assert not path.exists()


def test_a_file_that_this_process_is_writing_stays(tmp_path, monkeypatch):
    replace = Path.replace

    def interrupted(path, target):
        discard_unfinished(tmp_path, ["1.png"])
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    write_atomically(tmp_path / "1.png", b"whole")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"1.png": b"whole"}


def test_a_temporary_file_that_another_machine_removes_is_written_again(tmp_path, monkeypatch):
    replace, removals = Path.replace, iter(range(3))

    def disturbed(path, target):
        if next(removals, None) is not None:
            path.unlink()
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", disturbed)
    write_atomically(tmp_path / "1.png", b"whole")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"1.png": b"whole"}
    assert next(removals, None) is None


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077])
def test_permissions_follow_the_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "1.png", b"whole")
    finally:
        os.umask(before)
    assert (tmp_path / "1.png").stat().st_mode & 0o777 == 0o666 & ~mask


@pytest.mark.parametrize("stem", ["a" * 240, "\u00e4" * 120, "\u5922" * 80])
def test_a_name_of_240_bytes_has_a_temporary_file(tmp_path, stem):
    path = tmp_path / f"{stem}.png"
    killed = temporary_path(path)
    killed.touch()
    other = temporary_path(tmp_path / f"{stem[:-1]}b.png")
    other.touch()
    discard_unfinished(tmp_path, [path.name])
    assert list(tmp_path.iterdir()) == [other], "told apart although both are shortened"
    write_atomically(path, b"whole")
    assert path.read_bytes() == b"whole"


def test_the_data_is_on_the_disk_before_the_name(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append((os.fstat(handle), (tmp_path / "1.png").exists())))
    write_atomically(tmp_path / "1.png", b"whole")
    ((status, named),) = synced
    assert (status.st_size, status.st_ino, named) == (5, (tmp_path / "1.png").stat().st_ino, False)


def test_a_file_that_never_stays_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "replace", lambda path, target: path.unlink() or path.stat())
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "1.png", b"whole")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("target", ["theirs", "absent"])
def test_a_link_is_refused_and_what_it_points_to_stays(tmp_path, target):
    (tmp_path / "theirs").write_bytes(b"theirs")
    link = tmp_path / "1.png"
    link.symlink_to(target)
    with pytest.raises(ClipError) as refused:
        write_atomically(link, b"ours")
    assert refused.value.where == str(link)
    assert link.is_symlink()
    assert {path.name for path in tmp_path.iterdir()} == {"theirs", "1.png"}
    assert (tmp_path / "theirs").read_bytes() == b"theirs"


def test_another_name_of_a_file_keeps_its_contents(tmp_path):
    (tmp_path / "theirs").write_bytes(b"theirs")
    os.link(tmp_path / "theirs", tmp_path / "1.png")
    write_atomically(tmp_path / "1.png", b"ours")
    assert [(tmp_path / name).read_bytes() for name in ("theirs", "1.png")] == [b"theirs", b"ours"]


@pytest.mark.parametrize("writer", ["download", "x-1", "1", "a b-1-1", "host-1-1-x", ""])
def test_unfinished_files_of_other_programs_stay(tmp_path, writer):
    path = tmp_path / f".1.png.{writer}.part"
    path.touch()
    discard_unfinished(tmp_path, ["1.png"])
    assert path.exists()
