"""What a user put into a folder is never deleted, whatever its manifest says."""

import json
import os

import numpy as np
import pytest

from dreaming.artifacts.folder import ArtifactFolder
from dreaming.artifacts.manifest import MANIFEST, Manifest
from dreaming.errors import ClipError
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.image import encode_png

STEMS = ("0001", "0002", "0003")
MINE = encode_png(np.full((2, 3), 7, np.uint8))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "masks" / "gmm"


def make(path, level=1, stems=STEMS, every=STEMS, fail=False):
    """Fill a folder with frames of one grey level; return how many were made."""

    def frames(missing):
        for stem in missing:
            if fail:
                raise ValueError(stem)
            yield stem, np.full((2, 3), level, np.uint8)

    folder = ArtifactFolder(FrameFolder(path), path.parents[1], path.name)
    return folder.complete(stems, every, lambda: Manifest("test", 1, {"level": level}, {}), lambda _: frames)


def levels(path):
    folder = FrameFolder(path)
    return {stem: int(folder.read(stem)[0, 0, 0]) for stem in folder.stems}


def contents(path):
    return {file.name: file.read_bytes() for file in path.iterdir()}


def change_record(path, **changes):
    data = {**json.loads((path / MANIFEST).read_text()), **changes}
    (path / MANIFEST).write_text(json.dumps({key: value for key, value in data.items() if value is not None}))


RECORDS = {
    "truncated": lambda path: (path / MANIFEST).write_bytes((path / MANIFEST).read_bytes()[:40]),
    "no JSON": lambda path: (path / MANIFEST).write_text("hello"),
    "another tool's": lambda path: (path / MANIFEST).write_text('{"name": "app", "icons": []}'),
    "newer": lambda path: change_record(path, schema=2),
    "a field more": lambda path: change_record(path, more=1),
    "a field fewer": lambda path: change_record(path, stems=None),
    "of another maker": lambda path: change_record(path, maker="app"),
    "gone": lambda path: (path / MANIFEST).unlink(),
}


@pytest.mark.parametrize("record", RECORDS)
@pytest.mark.parametrize("level", [1, 2])
def test_a_folder_whose_record_is_not_understood_is_set_aside(path, caplog, record, level):
    make(path)
    (path / "0002.png").write_bytes(MINE)
    (path / "notes.txt").write_text("mine")
    RECORDS[record](path)
    before = contents(path)
    assert make(path, level) == 3
    assert contents(path.with_name("gmm.kept-1")) == before
    assert levels(path) == dict.fromkeys(STEMS, level)
    assert [(record.levelname, record.args[-1]) for record in caplog.records] == [("WARNING", "gmm.kept-1")]
    RECORDS[record](path)
    assert make(path, level) == 3
    assert path.with_name("gmm.kept-2").exists()


def test_pictures_without_a_record_are_set_aside_but_other_files_are_not(path):
    path.mkdir(parents=True)
    (path / "holiday.jpg").write_bytes(MINE)
    make(path)
    assert (path.with_name("gmm.kept-1") / "holiday.jpg").read_bytes() == MINE
    other = path.with_name("unet")
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    make(other)
    assert (other / "notes.txt").read_text() == "mine"
    assert not other.with_name("unet.kept-1").exists()


def test_other_pictures_stay_when_the_frames_are_remade(path, caplog):
    make(path)
    others = dict.fromkeys(("0001 copy.png", "0004.png", "thumbs.jpg"), (path / "0001.png").read_bytes())
    for name, data in others.items():
        (path / name).write_bytes(data)
    caplog.set_level("INFO")
    assert make(path, 2) == 3
    assert contents(path).items() >= others.items()
    assert {stem: level for stem, level in levels(path).items() if stem in STEMS} == dict.fromkeys(STEMS, 2)
    assert ("gmm", "level") in [record.args for record in caplog.records]
    assert not path.with_name("gmm.kept-1").exists()


def test_a_picture_of_the_users_is_used_and_kept_when_the_frames_are_remade(path, caplog):
    make(path)
    (path / "0002.png").write_bytes(MINE)
    assert make(path) == 0
    assert levels(path)["0002"] == 7
    assert make(path, 2) == 3
    assert contents(path.with_name("gmm.kept-1")) == {"0002.png": MINE}
    assert levels(path) == dict.fromkeys(STEMS, 2)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize("stem", ["a\0b", "\ud800", "x" * 300])
def test_a_manifest_may_name_files_that_cannot_exist(path, stem):
    make(path)
    record = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps({**record, "stems": [*STEMS, stem]}))
    assert make(path, 2) == 3
    assert levels(path) == dict.fromkeys(STEMS, 2)


def test_a_picture_in_the_way_of_a_new_frame_is_kept(path):
    make(path)
    (path / "0004.jpg").write_bytes(MINE)
    (path / "0005.png").write_bytes(MINE)
    every = (*STEMS, "0004", "0005")
    assert make(path, 2, every, every) == 5
    assert contents(path.with_name("gmm.kept-1")) == {"0004.jpg": MINE, "0005.png": MINE}
    assert levels(path) == dict.fromkeys(every, 2)


def test_frames_that_are_no_longer_wanted_are_removed(path):
    make(path)
    make(path, 2, STEMS[:1], STEMS[:1])
    assert levels(path) == {"0001": 2}


def test_a_maker_that_fails_at_once_changes_nothing(path):
    make(path)
    (path / "0002.png").write_bytes(MINE)
    before = contents(path)
    with pytest.raises(ValueError, match="0001"):
        make(path, 2, fail=True)
    assert contents(path) == before
    assert not path.with_name("gmm.kept-1").exists()


def test_killed_while_frames_are_removed_the_rest_is_still_explained(path, interrupted_at):
    make(path)
    with interrupted_at("0002.png"):
        make(path, 2)
    assert sorted(levels(path)) == ["0002", "0003"]
    assert make(path, 2) == 3
    assert levels(path) == dict.fromkeys(STEMS, 2)
    assert not path.with_name("gmm.kept-1").exists()


@pytest.mark.skipif(os.name != "posix", reason="paths of other systems are shorter")
def test_long_names_have_locks_and_temporary_files(tmp_path):
    stems = ("a" * 240, "\u00e4" * 120)
    path = tmp_path / "styled" / ("layer" * 40)
    assert make(path, 1, stems, stems) == 2
    assert set(levels(path)) == set(stems)
    assert all(len(file.name.encode()) < 255 for file in tmp_path.rglob("*"))


@pytest.mark.parametrize("linked", ["masks/gmm", "masks"])
def test_a_linked_folder_is_refused_before_anything_is_made(path, tmp_path, linked):
    theirs = tmp_path / "theirs" / "gmm"
    theirs.mkdir(parents=True)
    make(tmp_path / "made" / "gmm")
    for each in (tmp_path / "made" / "gmm").iterdir():
        each.rename(theirs / each.name)
    before = contents(theirs)
    link = tmp_path / linked
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(theirs if linked == "masks/gmm" else theirs.parent)
    assert make(path) == 0, "what is complete is used"
    with pytest.raises(ClipError) as refused:
        make(path, 2, fail=True)
    assert refused.value.where == str(link)
    assert contents(theirs) == before


def test_a_linked_clip_is_used(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "clip").symlink_to(tmp_path / "disk")
    path = tmp_path / "clip" / "masks" / "gmm"
    assert make(path) == 3
    assert make(path, 2) == 3


def test_a_link_in_place_of_a_frame_is_set_aside_and_its_target_stays(path, tmp_path):
    make(path)
    (path / "0002.png").rename(tmp_path / "theirs.png")
    (path / "0002.png").symlink_to(tmp_path / "theirs.png")
    theirs = (tmp_path / "theirs.png").read_bytes()
    assert make(path, 2) == 3
    assert levels(path) == dict.fromkeys(STEMS, 2)
    assert (path.with_name("gmm.kept-1") / "0002.png").is_symlink()
    assert (tmp_path / "theirs.png").read_bytes() == theirs


def test_another_name_of_a_frame_stays(path, tmp_path):
    make(path)
    os.link(path / "0002.png", tmp_path / "copy.png")
    copy = (tmp_path / "copy.png").read_bytes()
    make(path, 2)
    assert (tmp_path / "copy.png").read_bytes() == copy


def test_a_record_names_no_files_of_other_folders(path):
    other = path.with_name("unet")
    make(other)
    make(path)
    before = contents(other)
    change_record(path, stems=["../unet/0001", str(other / "0002"), "..", 3, None, ["0003"]])
    make(path, 2)
    assert contents(other) == before
