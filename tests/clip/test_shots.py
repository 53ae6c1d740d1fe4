"""Shots of clips: detected, recorded in shots.json, or named in clip.yaml."""

import json

import pytest

from dreaming.clip.clip import Clip
from dreaming.clip.shots import Shots
from dreaming.errors import ClipError

STEMS = [f"{number:04d}" for number in range(1, 13)]


@pytest.fixture
def clip(cut_clip):
    return cut_clip().clip


def test_shots_group_frames():
    shots = Shots("abcdefg", ["c", "d"])
    assert list(shots) == ["ab", "c", "defg"]
    assert shots.of("e") == "defg"
    assert [list(shots.around(stem, 2)) for stem in "bcde"] == [[0, 1], [2], [3, 4, 5], [3, 4, 5, 6]]
    assert shots.pairs == ["a", "d", "e", "f"]
    assert shots.joined("a", "b")
    assert not shots.joined("b", "c")
    assert not shots.joined("x", "x")
    assert shots.without(["a", "x"]) == ["c to c", "d to g"]
    assert len(Shots("abc")) == 1


def test_cuts_are_detected_once_and_recorded(clip, monkeypatch):
    assert [shot[0] for shot in clip.shots] == ["0001", "0007"]
    assert json.loads((clip.path / "shots.json").read_text())["shots"] == ["0001", "0007"]
    monkeypatch.setattr("dreaming.clip.shots.ReducedFrame", None)
    assert len(Clip(clip.path).shots) == 2


def test_changed_frames_are_searched_again(clip):
    before, shots = clip.sequence_fingerprint, len(clip.shots)
    for stem in STEMS[6:]:
        (clip.path / f"frames/{stem}.png").unlink()
    clip.refresh()
    assert (shots, len(clip.shots)) == (2, 1)
    assert clip.sequence_fingerprint == clip.frames_fingerprint != before


@pytest.mark.parametrize("named", ["[1, 4, 9]", "[0004, 0009]", "['0009', 4]"])
def test_clip_yaml_replaces_detected_cuts(clip, named):
    (clip.path / "clip.yaml").write_text(f"shots: {named}")
    clip = Clip(clip.path)
    assert [shot[0] for shot in clip.shots] == ["0001", "0004", "0009"]
    (clip.path / "clip.yaml").unlink()
    other = Clip(clip.path)
    assert [shot[0] for shot in other.shots] == ["0001", "0007"]
    assert len({clip.sequence_fingerprint, other.sequence_fingerprint, clip.frames_fingerprint}) == 3


def test_no_shots_in_clip_yaml_means_a_single_one(clip):
    (clip.path / "clip.yaml").write_text("shots: []")
    clip = Clip(clip.path)
    assert len(clip.shots) == 1
    assert clip.sequence_fingerprint == clip.frames_fingerprint


def test_a_named_frame_must_exist(clip):
    (clip.path / "clip.yaml").write_text("shots: [1, 46]")
    with pytest.raises(ClipError) as raised:
        _ = Clip(clip.path).shots
    assert raised.value.found == "shots: 46"
    assert raised.value.where == str(clip.path / "clip.yaml")


def test_shots_without_a_reference_are_named_in_one_warning(caplog):
    shots = Shots("abcdefg", "cef")
    shots.warn_without(["d"], "dancer", "hand mask")
    (record,) = caplog.records
    assert (record.levelname, record.args) == ("WARNING", ("dancer", "hand mask", 3, 4, "a to b, e to e, f to g"))
    shots.warn_without("acef", "dancer", "hand mask")
    Shots("abc").warn_without([], "dancer", "hand mask")
    assert len(caplog.records) == 1
