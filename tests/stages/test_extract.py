"""The extract stage: names, range, size and record of frames; interruption. As a script, a slow extraction to kill."""

import json
import logging
import re
import shutil
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from dreaming.artifacts.manifest import Manifest
from dreaming.artifacts.shard import Shard
from dreaming.clip.clip import Clip
from dreaming.errors import ClipError, FrameError, MaskError, ParameterError, VideoError
from dreaming.instantiation.validation import find_problem, parameters_of
from dreaming.io.frame_folder import FrameFolder
from dreaming.stages import extract
from dreaming.stages.extract import ExtractStage, find_source_video, read_video_metadata
from dreaming.video.reader import read_frames


@pytest.fixture
def drawing(disc_clip, film, tmp_path):
    """A clip without frames, and its twelve frames as a video in ``video``."""
    drawn = disc_clip(count=12, frames=False, masks=(), keyframes=())
    drawn.video = film(tmp_path / "disc.mkv", drawn.images.values())
    return drawn


def contents(drawing, pattern="*.png"):
    return {path.name: path.read_bytes() for path in (drawing.path / "frames").glob(pattern)}


def times(drawing):
    return [path.stat().st_mtime_ns for path in sorted((drawing.path / "frames").iterdir())]


def test_every_frame_is_written_unchanged(drawing):
    stage = ExtractStage(video=drawing.video)
    assert stage.skips(drawing.clip) is None
    stage.run(drawing.clip)
    clip = drawing.clip
    assert clip.stems == drawing.stems
    for stem, image in drawing.images.items():
        np.testing.assert_array_equal(clip.frames.read(stem), image)
    source = read_video_metadata(clip)
    assert (source.count, source.size, source.sound) == (12, (32, 48), False)
    assert source.times[3] == Fraction(3, 25)
    assert find_source_video(clip) == drawing.video.resolve()
    assert json.loads(clip.source.read_text())["extracted"] == {"start": 1, "end": 12, "every": 1}


@pytest.mark.parametrize(
    ("config", "numbers"),
    [
        ({"start": 3, "end": 11, "every": 4}, [3, 7, 11]),
        ({"start": 10}, [10, 11, 12]),
        ({"end": 99, "every": 5}, [1, 6, 11]),
        ({"start": 12, "end": 12}, [12]),
    ],
)
def test_names_keep_the_number_in_the_video(drawing, config, numbers):
    ExtractStage(video=drawing.video, **config).run(drawing.clip)
    assert drawing.clip.stems == [f"{number:04d}" for number in numbers]
    for stem in drawing.clip.stems:
        np.testing.assert_array_equal(drawing.clip.frames.read(stem), drawing.images[stem])


def test_masks_and_keyframes_outside_the_range_are_unused_with_a_warning(drawing, caplog):
    for stem in ("0002", "0009", "0012"):
        drawing.save(f"hand_masks/{stem}.png", drawing.truth[stem])
        drawing.save(f"keyframes/painted/{stem}.png", drawing.styled[stem])
    drawing.save("hand_masks/0013.png", drawing.truth["0012"])
    ExtractStage(video=drawing.video, end=6).run(drawing.clip)
    unused = [f"{folder}/{stem}.png" for folder in ("hand_masks", "keyframes/painted") for stem in ("0009", "0012")]
    assert [record.args for record in caplog.records if record.levelno == logging.WARNING] == [(", ".join(unused),)]
    with pytest.raises(MaskError) as refused:
        drawing.clip.references("subject", ["0002"])
    assert refused.value.where.endswith("0013.png")
    (drawing.path / "hand_masks/0013.png").unlink()
    clip = drawing.clip
    assert clip.split("subject").nn == ("0002",)
    assert clip.references("subject", clip.split("subject").nn).stems == ("0002",)
    assert clip.keyframes(clip.layers[0]).stems == ("0002",)
    caplog.clear()
    ExtractStage(video=drawing.video).run(drawing.clip)
    assert not [record for record in caplog.records if record.levelno == logging.WARNING]
    assert drawing.clip.split("subject").nn == ("0002", "0009", "0012")
    assert len(drawing.clip.keyframes(clip.layers[0]).stems) == 3


def test_gamma_is_the_power_of_each_value(drawing):
    ExtractStage(video=drawing.video, gamma=2.2, end=1).run(drawing.clip)
    expected = np.rint((drawing.images["0001"] / 255.0) ** 2.2 * 255)
    np.testing.assert_array_equal(drawing.clip.frames.read("0001"), expected)


def test_size_is_height_and_width(drawing):
    ExtractStage(video=drawing.video, size=(16, 24), end=2).run(drawing.clip)
    assert drawing.clip.size == (16, 24)
    blocks = drawing.images["0002"].reshape(16, 2, 24, 2, 3).mean((1, 3))
    assert np.abs(drawing.clip.frames.read("0002") - blocks).max() <= 1


def test_another_config_or_video_replaces_the_frames(drawing, film):
    ExtractStage(video=drawing.video, every=3).run(drawing.clip)
    ExtractStage(video=drawing.video, start=2, end=4).run(drawing.clip)
    assert drawing.clip.stems == ["0002", "0003", "0004"]
    other = film(drawing.video.with_name("other.mkv"), list(drawing.styled.values())[:5])
    ExtractStage(video=other).run(drawing.clip)
    np.testing.assert_array_equal(drawing.clip.frames.read("0005"), drawing.styled["0005"])
    assert len(drawing.clip.stems) == 5
    assert find_source_video(drawing.clip) == other.resolve()


def test_finished_frames_are_kept_and_a_moved_video_is_found(drawing):
    ExtractStage(video=drawing.video).run(drawing.clip)
    elsewhere = drawing.path / "disc.mkv"
    shutil.move(drawing.video, elsewhere)
    before = contents(drawing), times(drawing)
    ExtractStage(video=elsewhere).run(drawing.clip)
    assert (contents(drawing), times(drawing)) == before
    assert find_source_video(drawing.clip) == elsewhere


def test_every_shard_extracts_all_frames(drawing):
    ExtractStage(video=drawing.video, every=2, shard=Shard(2, 3)).run(drawing.clip)
    assert drawing.clip.stems == drawing.stems[::2]
    np.testing.assert_array_equal(drawing.clip.frames.read("0005"), drawing.images["0005"])


# -- choice of the video


def test_the_only_source_in_the_clip_s_folder_is_found(drawing):
    shutil.move(drawing.video, drawing.path / "source.mkv")
    assert ExtractStage().skips(drawing.clip) is None
    ExtractStage().run(drawing.clip)
    assert drawing.clip.stems == drawing.stems
    # now with source.json beside it, which is no video
    again = ExtractStage()
    assert again.skips(drawing.clip) is None
    again.run(drawing.clip)


def test_the_user_s_frames_are_kept(disc_clip, drawing):
    own = disc_clip("own", keyframes=())
    before = contents(own)
    assert "8" in ExtractStage().skips(own.clip)
    with pytest.raises(ClipError) as refused:
        ExtractStage(video=drawing.video).skips(own.clip)
    assert refused.value.where == str(own.clip.frames.path)
    assert str(drawing.video) in refused.value.found
    assert contents(own) == before
    assert not (own.path / "source.json").exists()
    assert read_video_metadata(own.clip) is None


def test_the_user_s_frames_are_never_overwritten(disc_clip, drawing):
    own = disc_clip("own")
    with pytest.raises(AssertionError):
        ExtractStage(video=drawing.video).run(own.clip)
    assert len(own.clip.stems) == 8


def test_neither_frames_nor_a_video_are_an_error(drawing):
    assert ExtractStage().skips(drawing.clip) is None
    with pytest.raises(FrameError) as refused:
        ExtractStage().run(drawing.clip)
    assert "video=" in refused.value.hint


def test_frames_stay_without_the_video(drawing):
    ExtractStage(video=drawing.video).run(drawing.clip)
    drawing.video.unlink()
    assert find_source_video(drawing.clip) is None
    assert re.findall(r"\d+", ExtractStage().skips(drawing.clip)) == ["12"]
    (drawing.path / "frames/0012.png").unlink()
    assert re.findall(r"\d+", ExtractStage().skips(drawing.clip)) == ["11", "12"]
    with pytest.raises(VideoError) as refused:
        ExtractStage(video=drawing.video).run(drawing.clip)
    assert refused.value.where == str(drawing.video)


@pytest.mark.parametrize("text", ["", "{", "[]", b"\xff"])
def test_a_damaged_record_is_named(drawing, text):
    ExtractStage(video=drawing.video).run(drawing.clip)
    drawing.clip.source.write_bytes(text if isinstance(text, bytes) else text.encode())
    for read in (read_video_metadata, find_source_video):
        with pytest.raises(VideoError) as refused:
            read(drawing.clip)
        assert refused.value.where == str(drawing.clip.source)


def test_the_opacity_of_a_transparent_video_can_be_used_as_masks(drawing):
    path = drawing.path / "source.mov"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("qtrle", rate=25)
        stream.height, stream.width, stream.pix_fmt = 32, 48, "argb"
        for number, (stem, image) in enumerate(drawing.images.items()):
            cut_out = np.dstack([image, drawing.truth[stem].astype(np.uint8) * 255])
            frame = av.VideoFrame.from_ndarray(cut_out, format="rgba").reformat(format="argb")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    ExtractStage().run(drawing.clip)
    opacity = FrameFolder(drawing.path / "opacity")
    assert opacity.stems == drawing.stems
    for stem, truth in drawing.truth.items():
        np.testing.assert_array_equal(opacity.read_mask(stem), truth)
        np.testing.assert_array_equal(drawing.clip.frames.read(stem), drawing.images[stem] * truth[..., None])
    (drawing.path / "hand_masks").mkdir()
    for path in opacity.files.values():
        shutil.copy(path, drawing.path / "hand_masks")
    np.testing.assert_array_equal(drawing.clip.references("subject", ["0003"]).masks[0], drawing.truth["0003"])


# -- errors


def test_a_range_beyond_the_video_is_refused_and_costs_nothing(drawing):
    ExtractStage(video=drawing.video, every=3).run(drawing.clip)
    before, record = contents(drawing, "*"), drawing.clip.source.read_bytes()
    with pytest.raises(VideoError) as refused:
        ExtractStage(video=drawing.video, start=13).run(drawing.clip)
    assert refused.value.where == str(drawing.video)
    assert contents(drawing, "*") == before
    assert drawing.clip.source.read_bytes() == record


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gamma", 0),
        ("start", 0),
        ("every", 0),
        ("size", [0, 4]),
        ("size", [4]),
    ],
)
def test_values_out_of_range_do_not_fit(name, value):
    assert find_problem(value, parameters_of(ExtractStage).hints[name])


def test_an_end_before_the_start_is_refused():
    with pytest.raises(ParameterError) as refused:
        ExtractStage(start=5, end=4)
    assert (refused.value.name, refused.value.found) == ("end", "4")


def test_an_unreadable_video_is_named_and_leaves_nothing(drawing):
    broken = drawing.video.with_name("broken.mkv")
    broken.write_bytes(drawing.video.read_bytes()[:3000])
    with pytest.raises(VideoError) as refused:
        ExtractStage(video=broken).run(drawing.clip)
    assert refused.value.where == str(broken)
    assert not (drawing.path / "frames").exists()
    assert not (drawing.path / "source.json").exists()


# -- interruption


def test_a_killed_extraction_continues_to_the_same_bytes(drawing, disc_clip, kill_when):
    whole = disc_clip("whole", frames=False, masks=(), keyframes=())
    ExtractStage(video=drawing.video).run(whole.clip)
    with subprocess.Popen([sys.executable, __file__, drawing.path, drawing.video], stdout=subprocess.DEVNULL) as child:
        kill_when(child, lambda: len(contents(drawing)) >= 4)
    left = contents(drawing)
    assert 4 <= len(left) < 12
    assert left.items() <= contents(whole).items()
    # without video=, from the record of the killed run
    ExtractStage().run(drawing.clip)
    assert contents(drawing) == contents(whole)
    assert not contents(drawing, ".*")
    made = Manifest.read(drawing.path / "frames/manifest.json")
    assert made == Manifest.read(whole.path / "frames/manifest.json")
    assert made.frames == 12 - len(left)


def test_frames_left_by_a_kill_during_replacement_do_not_count_as_the_user_s(drawing, interrupted_at):
    ExtractStage(video=drawing.video, every=2).run(drawing.clip)
    with interrupted_at("0005.png"):
        ExtractStage(video=drawing.video).run(drawing.clip)
    assert drawing.clip.frames_are_made
    assert drawing.clip.stems == drawing.stems[4::2]
    again = ExtractStage(video=drawing.video, every=2)
    assert again.skips(drawing.clip) is None
    again.run(drawing.clip)
    assert drawing.clip.stems == drawing.stems[::2], "continued with the old config"
    ExtractStage(video=drawing.video).run(drawing.clip)
    assert drawing.clip.stems == drawing.stems


def slowly(*arguments, **named):
    """``read_frames``, slow enough to be interrupted."""
    for found in read_frames(*arguments, **named):
        time.sleep(0.1)
        yield found


if __name__ == "__main__":
    extract.read_frames = slowly
    ExtractStage(video=Path(sys.argv[2])).run(Clip(Path(sys.argv[1])))


@pytest.mark.parametrize("record", [{"maker": "camera"}, {"maker": "camera", "schema": 1, "stems": ["0001"]}, []])
def test_frames_with_the_manifest_of_another_program_are_the_user_s(disc_clip, drawing, record):
    other = disc_clip("other", masks=(), keyframes=())
    shutil.copy(drawing.video, other.path / "source.mkv")
    (other.path / "frames" / "manifest.json").write_text(json.dumps(record))
    before = contents(other, "*")
    assert ExtractStage().skips(other.clip)
    assert contents(other, "*") == before
    with pytest.raises(ClipError):
        ExtractStage(video=drawing.video).skips(other.clip)


def test_extracted_frames_without_their_manifest_are_used_with_a_warning(drawing, caplog):
    ExtractStage(video=drawing.video).run(drawing.clip)
    (drawing.path / "frames" / "manifest.json").unlink()
    before = contents(drawing)
    assert ExtractStage().skips(drawing.clip)
    assert [record.levelno for record in caplog.records if record.levelno > logging.INFO] == [logging.WARNING]
    assert str(caplog.records[0].args[0]) == str(drawing.path / "frames")
    assert contents(drawing) == before


def test_a_linked_folder_of_frames_is_not_emptied(drawing, disc_clip):
    ExtractStage(video=drawing.video).run(drawing.clip)
    other = disc_clip("other", frames=False, masks=(), keyframes=())
    (other.path / "frames").symlink_to(drawing.path / "frames")
    before = contents(drawing, "*")
    with pytest.raises(ClipError) as refused:
        ExtractStage(video=drawing.video, gamma=2.0).run(other.clip)
    assert refused.value.where == str(other.path / "frames")
    assert contents(drawing, "*") == before
