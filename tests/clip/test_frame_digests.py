"""Frames of the user's are read again only where they changed."""

import os

import pytest

from dreaming.artifacts.fingerprint import fingerprint_files
from dreaming.artifacts.record import read_record
from dreaming.clip import frame_digests
from dreaming.clip.frame_digests import RECORD, fingerprint_frames


@pytest.fixture
def paths(tmp_path, monkeypatch):
    monkeypatch.setattr(frame_digests, "RECORDED", 0)
    monkeypatch.setattr(frame_digests, "MARGIN_NS", -(10**12))  # no program can set the time of a change
    (tmp_path / "frames").mkdir()
    paths = [tmp_path / "frames" / f"{number:04d}.png" for number in range(3)]
    for path in paths:
        path.write_bytes(path.name.encode())
    return paths


def test_a_recorded_digest_is_used_until_the_file_changes(tmp_path, paths):
    assert fingerprint_frames(tmp_path, paths) == fingerprint_files(paths)
    record = tmp_path / RECORD
    # A wrong digest shows that the file was not read.
    known = read_record(record)["files"]["0001.png"][-1]
    record.write_text(record.read_text().replace(known, "0" * 32))
    assert fingerprint_frames(tmp_path, paths) != fingerprint_files(paths)
    times = paths[1].stat()
    (tmp_path / "other").write_bytes(b"1000.png")  # as long
    (tmp_path / "other").rename(paths[1])
    os.utime(paths[1], ns=(times.st_atime_ns, times.st_mtime_ns))
    assert fingerprint_frames(tmp_path, paths) == fingerprint_files(paths)
    assert set(read_record(record)["files"]) == {path.name for path in paths}


def test_a_file_that_has_just_changed_is_not_recorded(tmp_path, paths, monkeypatch):
    monkeypatch.setattr(frame_digests, "MARGIN_NS", 10**12)
    fingerprint_frames(tmp_path, paths)
    assert not (tmp_path / RECORD).exists()


def test_small_clips_have_no_record(tmp_path, paths, monkeypatch):
    monkeypatch.setattr(frame_digests, "RECORDED", 10**6)
    fingerprint_frames(tmp_path, paths)
    assert not (tmp_path / RECORD).exists()


@pytest.mark.parametrize("text", ["", '{"files": 1}', '{"files": {"0001.png": []}}', '{"files": {"0001.png": [1, 2]}}'])
def test_a_damaged_record_is_not_used(tmp_path, paths, text):
    (tmp_path / RECORD).write_text(text)
    assert fingerprint_frames(tmp_path, paths) == fingerprint_files(paths)
