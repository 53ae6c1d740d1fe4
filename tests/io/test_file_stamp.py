"""Stamps differ once a file has changed, also where its size and time are the same."""

import os

import pytest

from dreaming.io.file_stamp import FileStamp


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "a.png").write_bytes(b"one")
    (tmp_path / "b.txt").write_bytes(b"two")
    return tmp_path


def replace_with_equal_size_and_time(folder):
    path = folder / "inside" / "a.png"
    times = path.stat()
    (folder / "other").write_bytes(b"ONE")
    (folder / "other").rename(path)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


CHANGES = {
    "edited": lambda folder: (folder / "inside" / "a.png").write_bytes(b"other"),
    "replaced": replace_with_equal_size_and_time,
    "added": lambda folder: (folder / "inside" / "c.png").touch(),
    "removed": lambda folder: (folder / "b.txt").unlink(),
    "renamed": lambda folder: (folder / "b.txt").rename(folder / "c.txt"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_gives_another_stamp(folder, change):
    before = FileStamp.of(folder)
    assert FileStamp.of(folder) == before
    CHANGES[change](folder)
    after = FileStamp.of(folder)
    assert after.digest != before.digest
    assert after.newest >= before.newest


def test_only_files_of_the_patterns_count(folder):
    before = FileStamp.of(folder, ("*.txt",)).digest
    (folder / "inside" / "a.png").write_bytes(b"other")
    assert FileStamp.of(folder, ("*.txt",)).digest == before != FileStamp.of(folder).digest


def test_files_missing_paths_and_links_in_circles(folder):
    assert FileStamp.of(folder / "b.txt").digest
    assert FileStamp.of(folder / "absent") == FileStamp()
    (folder / "inside" / "up").symlink_to(folder)
    (folder / "inside" / "nowhere").symlink_to(folder / "absent")
    assert FileStamp.of(folder).digest
