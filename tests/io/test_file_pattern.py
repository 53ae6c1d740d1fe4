"""File names from patterns."""

import pytest

from dreaming.errors import FrameError, ParameterError
from dreaming.io.file_pattern import FilePattern, frame_number

VALUES = {"clip": "dancer", "layer": "head", "frame": "sh010_0042"}


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("{clip}_{layer}.{frame}", "dancer_head.sh010_0042"),
        ("{frame:06}", "000042"),
        ("{frame:1}", "42"),
        ("matte", "matte"),
    ],
)
def test_fields_are_filled(pattern, name):
    assert FilePattern("name", pattern).fill(VALUES) == name


@pytest.mark.parametrize("pattern", ["", " ", "..", ".a", "a/b", "a\\b", "{x}", "{clip:04}", "{", "{frame!r}", "a:b"])
def test_other_patterns_are_refused(pattern):
    with pytest.raises(ParameterError):
        FilePattern("name", pattern)


def test_numbers_of_frames():
    assert [frame_number(stem) for stem in ("1001", "a12b3", "0007", "x")] == [1001, 3, 7, None]
    with pytest.raises(FrameError):
        FilePattern("name", "{frame:04}").fill({"frame": "x"})
