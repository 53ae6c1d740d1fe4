"""File names from patterns."""

import pytest

from dreaming.errors import FrameError, ParameterError
from dreaming.io.file_pattern import FilePattern, frame_number, is_portable_name, name_key, printable

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


@pytest.mark.parametrize(
    "pattern", ["", " ", "..", ".a", "a/b", "a\\b", "{x}", "{clip:04}", "{", "{frame!r}", "a:b", "{clip} ", "nul"]
)
def test_other_patterns_are_refused(pattern):
    with pytest.raises(ParameterError):
        FilePattern("name", pattern)


def test_numbers_of_frames():
    assert [frame_number(stem) for stem in ("1001", "a12b3", "0007", "x")] == [1001, 3, 7, None]
    with pytest.raises(FrameError):
        FilePattern("name", "{frame:04}").fill({"frame": "x"})


@pytest.mark.parametrize(
    "name", ["head", "left hand", "nullo", "com10", "Ta\u0308nzer", "踊り", "\U0001f469\u200d\U0001f4bb", "50 %"]
)
def test_names_that_every_system_allows(name):
    assert is_portable_name(name)


NAMES = [
    "",
    " ",
    "\u3000",
    " a",
    "a ",
    "a.",
    ".a",
    "..",
    "a/b",
    "a\\b",
    "a:b",
    "a?",
    "a\nb",
    "a\x7f",
    "a\x9b",
    "a\u2028b",
]
NAMES += ["a\u202eb", "\u200b", "\ufeffa", "\udcff", "con", "NUL.txt", "Com1", "lpt9.tar.gz"]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_some_system_refuses_or_hides(name):
    assert not is_portable_name(name)


def test_names_of_the_same_file():
    assert name_key("T\u00e4nzer") == name_key("ta\u0308nzer") != name_key("tanzer")


def test_a_name_is_printed_in_one_line():
    assert printable("a\nb\x1b[31m\udcffä 踊") == "a\\nb\\x1b[31m\\udcffä 踊"
