"""The clean-up in clip.yaml is edited in place; whatever is not edited stays byte for byte."""

import threading

import pytest

from dreaming.clip.config import ClipSettings
from dreaming.errors import ClipError, ParameterError
from dreaming.ui.clip_file.cleanup import CleanupFile, set_steps
from dreaming.ui.user_files import ABSENT, FileChangedError

STEPS = [{"smooth": 3}, {"clamp": [0.1, 0.9]}, {"grow": 2.5}]

FILE = """\
# mine
layers:
- name: painted   # the only one
cleanup:
  # thin hair
  head: [{fill_holes: 0.01}, {smooth: 2}]  # tried
  body:
    - grow: 2   # cloth
    # then
    - smooth: 1 # soft
# after the body
start: 2  # a black frame before
"""


def steps_in(text, path):
    return {part: list(steps) for part, steps in ClipSettings.parse(path, text).cleanup.items()}


@pytest.mark.parametrize(
    ("text", "others"),
    [
        ("", {}),
        ("start: 2", {}),
        ("cleanup: # none yet\nstart: 1\n", {}),
        ("cleanup: {}\n", {}),
        ("{cleanup: {head: []}}", {"head": []}),
        ("cleanup: {head: [{grow: 1}], body: []} # flow\n", {"head": [{"grow": 1}]}),
        ("cleanup:\n    head: # mine\n    - grow: 1\n", {"head": [{"grow": 1}]}),
        (FILE, {"head": [{"fill_holes": 0.01}, {"smooth": 2}]}),
    ],
)
@pytest.mark.parametrize("part", ["body", 'a: "b', "no"])
def test_steps_of_a_part_are_set_in_any_style(tmp_path, text, others, part):
    path = tmp_path / "clip.yaml"
    before = steps_in(text, path) if text else {}
    after = steps_in(set_steps(text, part, STEPS), path)
    assert after == {**before, part: STEPS}
    assert others.items() <= after.items()


def test_comments_stay_and_move_with_their_steps():
    lines = set_steps(FILE, "body", STEPS).splitlines()
    assert lines[:6] == FILE.splitlines()[:6]
    assert lines[-2:] == FILE.splitlines()[-2:]
    assert [line.split() for line in lines[6:-2]] == [
        ["body:"],
        ["-", "smooth:", "3", "#", "soft"],
        ["-", "clamp:", "[0.1,", "0.9]"],
        ["-", "grow:", "2.5", "#", "cloth"],
        ["#", "then"],
    ]
    assert set_steps(FILE, "body", [{"grow": 2}, {"smooth": 1}]) == FILE


@pytest.fixture
def file():
    return CleanupFile(threading.Lock())


def test_a_part_without_steps_needs_no_file(disc_clip, file):
    clip = disc_clip().clip
    assert file.read(clip, "subject") == ([], ABSENT)
    assert file.write(clip, "subject", [], ABSENT) == ABSENT
    assert not (clip.path / "clip.yaml").exists()


def test_the_replaced_file_lies_in_trash(disc_clip, file):
    clip = disc_clip().clip
    (clip.path / "clip.yaml").write_text(FILE)
    _, version = file.read(clip, "body")
    after = file.write(clip, "body", [], version)
    assert file.read(clip, "body") == ([], after)
    assert (clip.path / "trash/clip.yaml").read_text() == FILE


def test_wrong_steps_and_changed_files_are_refused(disc_clip, file):
    clip = disc_clip().clip
    (clip.path / "clip.yaml").write_text(FILE)
    _, version = file.read(clip, "body")
    with pytest.raises(ParameterError) as error:
        file.write(clip, "body", [{"grow": -1}], version)
    assert error.value.name == "cleanup: body[0].grow"
    with pytest.raises(FileChangedError):
        file.write(clip, "body", STEPS, ABSENT)
    assert (clip.path / "clip.yaml").read_text() == FILE


@pytest.mark.parametrize("text", ['"cleanup": {"head": [{"grow": 1}],\n "body": []}\n', "? cleanup\n: head: []\n"])
def test_a_file_in_a_rare_style_is_edited_or_refused(disc_clip, file, text):
    clip = disc_clip().clip
    path = clip.path / "clip.yaml"
    path.write_text(text)
    try:
        file.write(clip, "body", STEPS, file.read(clip, "body")[1])
    except ClipError:
        assert path.read_text() == text
    else:
        assert steps_in(path.read_text(), path)["body"] == STEPS
