"""Errors of the operating system become one sentence that names the file or the disk."""

import errno
import sys
from collections import namedtuple

import cv2
import numpy as np
import pytest
import torch

from dreaming.cli import system_errors
from dreaming.cli.system_errors import (
    check_working_folder,
    fullest,
    run_folder_of_read_only_clip,
    system_error,
    written_folders,
)
from dreaming.errors import AccessError, MemoryShortageError, SpaceError


@pytest.mark.parametrize(
    "number", [errno.ENOENT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR, errno.ELOOP, errno.EIO, errno.EEXIST]
)
def test_a_file_that_cannot_be_used_is_named(number):
    error = system_error(OSError(number, "x", "/clip/a.png"))
    assert isinstance(error, AccessError)
    assert error.where == "/clip/a.png"


def test_the_cause_of_an_error_is_named():
    error = ValueError("handler")
    error.__cause__ = OSError(errno.ENOENT, "x", "/clip/a.log")
    assert system_error(error).where == "/clip/a.log"


def test_a_permission_that_a_library_misses_is_told_in_its_words():
    assert "/x" in str(system_error(PermissionError("cannot write to /x; set X_DIR.")))


def test_a_working_folder_that_was_deleted_is_refused(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    check_working_folder()
    (tmp_path / "gone").rmdir()
    with pytest.raises(AccessError):
        check_working_folder()


def too_large():
    return [
        lambda: torch.empty(10**15),
        lambda: np.empty(10**15),
        lambda: cv2.resize(np.zeros((1, 1), np.uint8), (10**7, 10**8)),
    ]


@pytest.mark.parametrize("allocate", too_large(), ids=["torch", "numpy", "opencv"])
def test_memory_that_does_not_suffice_is_told(allocate):
    with pytest.raises(Exception) as caught:  # noqa: PT011 -- each library has its own class
        allocate()
    assert isinstance(system_error(caught.value), MemoryShortageError)


@pytest.mark.parametrize(
    "error", [ValueError("x"), OSError(errno.ENOENT, "x"), OSError("x"), RuntimeError("x"), ValueError("out of memory")]
)
def test_other_errors_are_bugs(error):
    assert system_error(error) is None


def test_the_fullest_disk_is_named_where_the_error_names_no_file(tmp_path, monkeypatch):
    (tmp_path / "clip").mkdir()
    monkeypatch.setattr(sys, "argv", ["dreaming", f"clip={tmp_path / 'clip'}"])
    assert tmp_path / "clip" in written_folders()
    usage = namedtuple("usage", "free")
    free = {str(tmp_path / "clip"): 10}
    monkeypatch.setattr(system_errors.shutil, "disk_usage", lambda path: usage(free.get(str(path), 10**9)))
    assert fullest(written_folders()) == tmp_path / "clip"
    error = system_error(OSError(errno.ENOSPC, "No space left on device"))
    assert isinstance(error, SpaceError)
    assert error.where == str(tmp_path / "clip")
    assert system_error(OSError(errno.ENOSPC, "x", "/elsewhere/a")).where == "/elsewhere/a"


def test_records_of_a_run_on_a_read_only_clip_go_to_a_temporary_folder(tmp_path, monkeypatch):
    arguments = [f"clip={tmp_path}"]
    monkeypatch.setattr(sys, "argv", ["dreaming", *arguments])
    for writable, given in ((True, arguments), (False, [*arguments, "-m"]), (False, [*arguments, "hydra.run.dir=x"])):
        monkeypatch.setattr(system_errors, "is_writable", lambda _, writable=writable: writable)
        with run_folder_of_read_only_clip(given):
            assert sys.argv == ["dreaming", *arguments]
    with run_folder_of_read_only_clip(arguments):
        assert sys.argv[-1].startswith("hydra.run.dir=")
    assert sys.argv == ["dreaming", *arguments]
