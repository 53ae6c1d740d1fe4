"""A clip and a video that a command names have to exist before anything is made on disk."""

import pytest

from dreaming.cli.check import check
from dreaming.cli.config import register_resolvers


@pytest.mark.parametrize("program", ["dreaming", "train.py"])
def test_a_clip_has_to_be_named_and_to_be_there(disc_clip, tmp_path, refused_untouched, program):
    disc_clip("dancer", count=3, masks=(1, 3), keyframes=(2,))
    refused_untouched(program, words="clip=FOLDER")
    refused_untouched(program, "clip=", words="clip=FOLDER")
    refused_untouched(program, f"clpi={tmp_path / 'dancer'}", words=("clpi", "clip"))
    refused_untouched(program, f"clip={tmp_path / 'dacner'}", words=(str(tmp_path / "dacner"), "dancer"))
    picture = tmp_path / "dancer" / "frames" / "0001.png"
    refused_untouched(program, f"clip={picture}", words=(str(picture), "folder"))


def test_the_demo_is_taken_where_nothing_is_there_yet(tmp_path, monkeypatch):
    register_resolvers()
    monkeypatch.chdir(tmp_path)
    check("dream", ["clip=demo", "experiments=demo"])
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_no_clip_stays_as_it_is(tmp_path, refused_untouched):
    (tmp_path / "letters").mkdir()
    refused_untouched("dreaming", f"clip={tmp_path / 'letters'}", words="no frames")


def test_a_new_clip_is_not_begun_for_a_video_that_is_not_there(tmp_path, refused_untouched):
    refused_untouched("dreaming", f"clip={tmp_path / 'new'}", "video=nowhere.mov", words=("video", "nowhere.mov"))
