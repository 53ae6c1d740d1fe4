import json
import shutil
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from dreaming.clip.clip import Clip
from dreaming.errors import ClipError, ConfigError, FrameError, MaskError, VideoError
from dreaming.io.manifest import Manifest
from dreaming.io.shard import Shard
from dreaming.io.video_reader import read_frames
from dreaming.stages import extract
from dreaming.stages.extract import ExtractStage, find_source_video, read_video_metadata


@pytest.fixture
def drawing(disc_clip, film, tmp_path):
    """A clip without frames, and its twelve frames as a video beside it."""
    drawn = disc_clip(count=12, frames=False, masks=(), keyframes=())
    drawn.video = film(tmp_path / "disc.mkv", drawn.images.values())
    return drawn


def contents(drawing, pattern="*.png"):
    return {path.name: path.read_bytes() for path in (drawing.path / "frames").glob(pattern)}


def test_every_frame_is_written_as_it_is(drawing):
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
    assert json.loads(clip.source.read_text())["places"] == {"start": 1, "end": 12, "every": 1}


@pytest.mark.parametrize(
    ("config", "places"),
    [
        ({"start": 3, "end": 11, "every": 4}, [3, 7, 11]),
        ({"start": 10}, [10, 11, 12]),
        ({"end": 99, "every": 5}, [1, 6, 11]),
        ({"start": 12, "end": 12}, [12]),
    ],
)
def test_names_keep_the_place_in_the_video(drawing, config, places):
    ExtractStage(video=drawing.video, **config).run(drawing.clip)
    assert drawing.clip.stems == [f"{place:04d}" for place in places]
    for stem in drawing.clip.stems:
        np.testing.assert_array_equal(drawing.clip.frames.read(stem), drawing.images[stem])


def test_what_is_painted_outside_the_range_waits_and_it_is_said(drawing, caplog):
    for stem in ("0002", "0009", "0012"):
        drawing.save(f"hand_masks/{stem}.png", drawing.truth[stem])
        drawing.save(f"keyframes/painted/{stem}.png", drawing.styled[stem])
    drawing.save("hand_masks/0013.png", drawing.truth["0012"])
    ExtractStage(video=drawing.video, end=6).run(drawing.clip)
    assert "keyframes/painted/0009.png, keyframes/painted/0012.png" in caplog.text
    with pytest.raises(MaskError, match=r"0013\.png: found no frame named 0013"):
        drawing.clip.references("subject", ["0002"])
    (drawing.path / "hand_masks/0013.png").unlink()
    clip = drawing.clip
    assert clip.split("subject").nn == ("0002",)
    assert clip.references("subject", clip.split("subject").nn).stems == ("0002",)
    assert clip.keyframes(clip.layers[0]).stems == ("0002",)
    caplog.clear()
    ExtractStage(video=drawing.video).run(drawing.clip)
    assert "not extracted" not in caplog.text
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


def test_what_is_up_to_date_is_left_alone_and_a_moved_video_is_found(drawing):
    ExtractStage(video=drawing.video).run(drawing.clip)
    elsewhere = drawing.path / "disc.mkv"
    shutil.move(drawing.video, elsewhere)
    before = contents(drawing)
    again = ExtractStage(video=elsewhere)
    again.run(drawing.clip)
    assert (again.frames_needed, again.frames_made) == (12, 0)
    assert contents(drawing) == before
    assert find_source_video(drawing.clip) == elsewhere


def test_every_shard_sees_to_all_frames(drawing):
    ExtractStage(video=drawing.video, every=2, shard=Shard(2, 3)).run(drawing.clip)
    assert drawing.clip.stems == drawing.stems[::2]
    np.testing.assert_array_equal(drawing.clip.frames.read("0005"), drawing.images["0005"])


# -- which video


def test_a_lone_source_in_the_clip_s_folder_is_found(drawing):
    shutil.move(drawing.video, drawing.path / "source.mkv")
    assert ExtractStage().skips(drawing.clip) is None
    ExtractStage().run(drawing.clip)
    assert drawing.clip.stems == drawing.stems
    # source.json lies beside it now, and is no video
    again = ExtractStage()
    assert again.skips(drawing.clip) is None
    again.run(drawing.clip)


def test_own_frames_are_taken_as_they_are(disc_clip, drawing):
    own = disc_clip("own", keyframes=())
    before = contents(own)
    assert ExtractStage().skips(own.clip) == "the clip brings its own 8 frames"
    with pytest.raises(ClipError, match=r"found 8 frames of your own, and video=.*expected one or the other"):
        ExtractStage(video=drawing.video).skips(own.clip)
    assert contents(own) == before
    assert not (own.path / "source.json").exists()
    assert read_video_metadata(own.clip) is None


def test_own_frames_are_never_written_over(disc_clip, drawing):
    own = disc_clip("own")
    with pytest.raises(AssertionError):
        ExtractStage(video=drawing.video).run(own.clip)
    assert len(own.clip.stems) == 8


def test_neither_frames_nor_a_video_are_told(drawing):
    assert ExtractStage().skips(drawing.clip) is None
    with pytest.raises(FrameError, match=r"found no frames, .* name a video with video=FILE"):
        ExtractStage().run(drawing.clip)


def test_frames_stay_when_the_video_is_gone(drawing):
    ExtractStage(video=drawing.video).run(drawing.clip)
    drawing.video.unlink()
    assert find_source_video(drawing.clip) is None
    assert ExtractStage().skips(drawing.clip) == "no video is named; the 12 frames extracted before are kept"
    (drawing.path / "frames/0012.png").unlink()
    assert "the 11 frames extracted before are kept, though 12 were to be" in ExtractStage().skips(drawing.clip)
    with pytest.raises(VideoError, match=r"disc\.mkv: found no such file"):
        ExtractStage(video=drawing.video).run(drawing.clip)


@pytest.mark.parametrize("text", ["", "{", "[]", b"\xff"])
def test_a_damaged_record_is_named(drawing, text):
    ExtractStage(video=drawing.video).run(drawing.clip)
    drawing.clip.source.write_bytes(text if isinstance(text, bytes) else text.encode())
    for ask in (read_video_metadata, find_source_video):
        with pytest.raises(VideoError, match=r"source\.json: found a file that is damaged"):
            ask(drawing.clip)


# -- refusals


@pytest.mark.parametrize(
    ("config", "error", "told"),
    [
        ({"start": 13}, VideoError, "found 12 frames, of which 13 to the last were asked for"),
        ({"start": 5, "end": 4}, VideoError, "of which 5 to 4 were asked for"),
        ({"start": 0}, ConfigError, r"stage\.extract\.start: found 0"),
        ({"every": 0}, ConfigError, r"stage\.extract\.every: found 0"),
        ({"every": -2}, ConfigError, r"stage\.extract\.every: found -2"),
        ({"gamma": 0}, ConfigError, r"stage\.extract\.gamma"),
        ({"size": (0, 4)}, ConfigError, r"stage\.extract\.size"),
    ],
)
def test_a_wrong_value_is_refused_and_costs_nothing(drawing, config, error, told):
    ExtractStage(video=drawing.video, every=3).run(drawing.clip)
    before, record = contents(drawing, "*"), drawing.clip.source.read_bytes()
    with pytest.raises(error, match=told):
        ExtractStage(video=drawing.video, **config).run(drawing.clip)
    assert contents(drawing, "*") == before
    assert drawing.clip.source.read_bytes() == record


def test_an_unreadable_video_is_named_and_leaves_nothing(drawing):
    broken = drawing.video.with_name("broken.mkv")
    broken.write_bytes(drawing.video.read_bytes()[:3000])
    with pytest.raises(VideoError, match=r"broken\.mkv"):
        ExtractStage(video=broken).run(drawing.clip)
    assert not (drawing.path / "frames").exists()
    assert not (drawing.path / "source.json").exists()


# -- killed


def test_killed_and_continued_it_ends_with_the_same_bytes(drawing, disc_clip):
    whole = disc_clip("whole", frames=False, masks=(), keyframes=())
    ExtractStage(video=drawing.video).run(whole.clip)
    with subprocess.Popen([sys.executable, __file__, drawing.path, drawing.video], stdout=subprocess.DEVNULL) as child:
        deadline = time.monotonic() + 30
        while len(contents(drawing)) < 4 and time.monotonic() < deadline:
            time.sleep(0.005)
        child.send_signal(signal.SIGKILL)
        assert child.wait(20) == -signal.SIGKILL
    left = contents(drawing)
    assert 4 <= len(left) < 12
    assert left.items() <= contents(whole).items()
    # Without video=, by what the cut-off run noted
    ExtractStage().run(drawing.clip)
    assert contents(drawing) == contents(whole)
    assert not contents(drawing, ".*")
    made = Manifest.read(drawing.path / "frames/manifest.json")
    assert made == Manifest.read(whole.path / "frames/manifest.json")
    assert made.frames == 12 - len(left)


def test_killed_while_frames_are_replaced_what_is_left_is_not_taken_for_the_user_s(drawing, monkeypatch):
    ExtractStage(video=drawing.video, every=2).run(drawing.clip)
    unlink = Path.unlink

    def killed(path, **options):
        if path.name == "0005.png":
            raise KeyboardInterrupt
        unlink(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            ExtractStage(video=drawing.video).run(drawing.clip)
    assert drawing.clip.frames_are_made
    assert drawing.clip.stems == drawing.stems[4::2]
    again = ExtractStage(video=drawing.video, every=2)
    assert again.skips(drawing.clip) is None
    again.run(drawing.clip)
    assert drawing.clip.stems == drawing.stems[::2], "under the old config it goes on"
    ExtractStage(video=drawing.video).run(drawing.clip)
    assert drawing.clip.stems == drawing.stems


def slowly(*arguments, **named):
    """``read_frames``, slow enough to be caught in the act."""
    for found in read_frames(*arguments, **named):
        time.sleep(0.1)
        yield found


if __name__ == "__main__":
    extract.read_frames = slowly
    ExtractStage(video=Path(sys.argv[2])).run(Clip(Path(sys.argv[1])))
