"""Cuts in clip.yaml are edited in place; whatever is not edited stays byte for byte."""

import threading

import pytest

from dreaming.clip.clip import Clip
from dreaming.clip.config import ClipSettings
from dreaming.errors import ClipError
from dreaming.ui.clip_file.shots import ShotFile
from dreaming.ui.user_files import ABSENT, FileChangedError

BLOCK = """\
# mine
shots:   # by hand
  - 1
  # the door opens
  - "0004"   # late
  - 6
# after
start: 2
"""


@pytest.fixture
def file():
    return ShotFile(threading.Lock())


@pytest.mark.parametrize(
    ("text", "wanted", "expected"),
    [
        (None, ["0005"], "shots: [1, 5]\n"),
        (None, [], "shots: []\n"),
        ("start: 2 # x", ["0005", "0003"], "start: 2 # x\nshots: [1, 3, 5]\n"),
        ("shots: [5] # x\nstart: 2\n", ["0003", "0005"], "shots: [3, 5] # x\nstart: 2\n"),
        ("shots: [1, 5]\n", [], "shots: []\n"),
        ("shots:\nstart: 2\n", ["0002"], "shots: [1, 2]\nstart: 2\n"),
        (BLOCK, ["0004"], BLOCK.replace("  - 6\n", "")),
        (BLOCK, ["0004", "0006", "0008"], BLOCK.replace("  - 6\n", "  - 6\n  - 8\n")),
        (BLOCK, ["0006", "0004"], BLOCK),
    ],
)
def test_cuts_are_set_in_any_style(disc_clip, file, text, wanted, expected):
    clip = disc_clip(masks=(), keyframes=()).clip
    path = clip.path / "clip.yaml"
    if text is not None:
        path.write_text(text)
    file.write(clip, wanted, file.read(clip)[1])
    assert path.read_text() == expected
    assert file.read(Clip(clip.path))[0] == sorted(wanted)
    assert Clip(clip.path).shots.firsts in ([], [*sorted(wanted)], ["0001", *sorted(wanted)])
    assert text in (None, expected) or (clip.path / "trash/clip.yaml").read_text() == text


def test_cuts_are_unknown_until_they_are_detected(cut_clip, file):
    clip = cut_clip().clip
    assert file.read(clip) == (None, ABSENT)
    detected = [shot[0] for shot in clip.shots]
    assert file.read(clip) == (detected[1:], ABSENT)


def test_wrong_frames_and_changed_files_are_refused(disc_clip, file):
    clip = disc_clip(masks=(), keyframes=()).clip
    with pytest.raises(ClipError):
        file.write(clip, ["0099"], ABSENT)
    path = clip.path / "clip.yaml"
    path.write_text("{shots: [1], start: 1}\n")
    with pytest.raises(FileChangedError):
        file.write(clip, ["0002"], ABSENT)
    try:
        file.write(clip, ["0002"], file.read(clip)[1])
    except ClipError:
        assert path.read_text() == "{shots: [1], start: 1}\n"
    else:
        assert ClipSettings.read(path) == ClipSettings(shots=[1, 2], start=1)


def test_a_number_that_names_two_frames_is_not_written(disc_clip, file):
    drawing = disc_clip(masks=(), keyframes=())
    for stem in ("0002", "0004"):
        frame = drawing.path / f"frames/{stem}.png"
        frame.rename(frame.with_stem(f"b{stem}" if stem == "0002" else "no"))
    drawing.save("frames/a0002.png", drawing.images["0002"])
    clip = drawing.clip
    file.write(clip, ["a0002", "no", "b0002"], ABSENT)
    assert ClipSettings.read(clip.path / "clip.yaml").shots == [1, "a0002", 2, "no"]
