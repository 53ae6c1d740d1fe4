"""Frames of earlier manifests come back without being made again, and nothing of the user's is touched."""

import numpy as np
import pytest

from dreaming.artifacts.folder import ArtifactFolder
from dreaming.artifacts.history import FOLDER, KEPT
from dreaming.artifacts.manifest import Manifest
from dreaming.errors import ClipError
from dreaming.io.frame_folder import FrameFolder

STEMS = ("0001", "0002", "0003")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "masks" / "gmm"


def make(path, level, unchanged=()):
    """Fill a folder with frames of one grey level; return the names of those that were made."""
    made = []

    def frames(missing):
        made.extend(missing)
        return [(stem, np.full((2, 3), level, np.uint8)) for stem in missing]

    folder = ArtifactFolder(FrameFolder(path), path.parents[1], path.name, has_history=True)
    manifest = Manifest("test", 1, {"level": level}, {})
    folder.complete(STEMS, STEMS, lambda: manifest, lambda _: frames, unchanged=lambda before, wanted: unchanged)
    return made


def levels(path):
    folder = FrameFolder(path)
    return [int(folder.read(stem)[0, 0, 0]) for stem in folder.stems]


def test_frames_of_an_earlier_manifest_come_back(path):
    make(path, 1)
    make(path, 2, unchanged=["0001"])
    assert levels(path) == [1, 2, 2]
    assert make(path, 1) == []
    assert levels(path) == [1, 1, 1]
    assert make(path, 2) == []
    assert levels(path) == [1, 2, 2]


def test_a_frame_that_was_lost_is_made_again(path):
    make(path, 1)
    make(path, 2)
    (next((path.parents[1] / FOLDER).rglob("0002.png"))).unlink()
    assert make(path, 1) == ["0002"]
    assert levels(path) == [1, 1, 1]


def test_the_oldest_frames_are_forgotten(path):
    for level in range(KEPT + 3):
        make(path, level)
    assert len(list((path.parents[1] / FOLDER / "masks" / "gmm").iterdir())) == KEPT
    assert make(path, 0) == list(STEMS)


def test_a_picture_of_the_users_is_kept_when_frames_come_back(path):
    make(path, 1)
    make(path, 2)
    mine = FrameFolder(path).files["0002"]
    mine.write_bytes(b"mine")
    assert make(path, 1) == []
    assert levels(path) == [1, 1, 1]
    assert (path.with_name("gmm.kept-1") / "0002.png").read_bytes() == b"mine"


def test_a_linked_history_is_refused(path, tmp_path):
    make(path, 1)
    (tmp_path / FOLDER).symlink_to(tmp_path.parent)
    with pytest.raises(ClipError) as error:
        make(path, 2)
    assert error.value.where == str(tmp_path / FOLDER)
    assert levels(path) == [1, 1, 1]
