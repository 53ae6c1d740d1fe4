"""Stage.complete: done, made again, continued, shared out, and killed. Run as a script it is a stage to kill."""

import logging
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from dreaming.artifacts.manifest import Manifest
from dreaming.artifacts.shard import Shard
from dreaming.clip.clip import Clip
from dreaming.io.atomic import owner
from dreaming.stages.base import Stage


@dataclass
class Shade(Stage):
    """Darken every frame; ``pause`` seconds each, so that it can be caught in the act."""

    name = "shade"

    gain: float = 0.5
    pause: float = 0.0
    fails_at: str | None = None

    def skips(self, clip):
        return None

    def run(self, clip):
        self.made = []
        identity = clip.frames_fingerprint

        def make(stems):
            for stem in stems:
                if stem == self.fails_at:
                    raise ValueError(f"no {stem}")
                time.sleep(self.pause)
                self.made.append(stem)
                print(stem, file=sys.stderr, flush=True)
                yield stem, np.rint(clip.frames.read(stem) * self.gain).astype(np.uint8)

        def manifest():
            return Manifest(self.name, self.version, {"gain": self.gain}, {"frames": identity})

        self.complete(clip, clip.composite, clip.stems, manifest, lambda _: make)


def contents(drawing, pattern="*.png"):
    """All made files' bytes by name, hidden ones too."""
    return {path.name: path.read_bytes() for path in (drawing.path / "composite").glob(pattern)}


@pytest.fixture
def drawing(disc_clip):
    return disc_clip(count=12, masks=(), keyframes=())


@pytest.fixture
def whole(disc_clip):
    """What an uninterrupted run makes of the same frames."""
    other = disc_clip("whole", count=12, masks=(), keyframes=())
    Shade().run(other.clip)
    return contents(other)


def test_frames_are_what_the_maker_gave(drawing):
    Shade(gain=0.25).run(drawing.clip)
    assert set(contents(drawing, "*")) == {"manifest.json"} | {f"{stem}.png" for stem in drawing.stems}
    for stem, image in drawing.images.items():
        np.testing.assert_array_equal(drawing.clip.composite.read(stem), np.rint(image * 0.25))
    record = Manifest.read(drawing.path / "composite" / "manifest.json")
    assert record == Manifest("shade", 1, {"gain": 0.25}, {"frames": drawing.clip.frames_fingerprint})
    assert record.frames == 12
    assert record.seconds > 0


def test_what_is_up_to_date_is_left_alone(drawing):
    Shade().run(drawing.clip)
    times = {path: path.stat().st_mtime_ns for path in (drawing.path / "composite").iterdir()}
    again = Shade(writers=5)
    again.run(drawing.clip)
    assert (again.made, again.frames_needed, again.frames_made) == ([], 12, 0)
    assert times == {path: path.stat().st_mtime_ns for path in (drawing.path / "composite").iterdir()}


def test_another_config_or_input_makes_it_again(drawing, caplog):
    Shade().run(drawing.clip)
    other = Shade(gain=0.75)
    with caplog.at_level(logging.INFO):
        other.run(drawing.clip)
    assert other.made == drawing.stems
    assert other.frames_made == 12
    assert ("composite", "gain") in [record.args for record in caplog.records]
    np.testing.assert_array_equal(drawing.clip.composite.read("0002"), np.rint(drawing.images["0002"] * 0.75))
    drawing.save("frames/0002.png", drawing.images["0001"])
    third = Shade(gain=0.75)
    third.run(drawing.clip)
    assert third.made == drawing.stems
    assert Manifest.read(drawing.path / "composite/manifest.json").frames == 12, "counted anew"


def test_another_version_makes_it_again(drawing, monkeypatch):
    Shade().run(drawing.clip)
    monkeypatch.setattr(Shade, "version", 2)
    again = Shade()
    again.run(drawing.clip)
    assert again.made == drawing.stems


def test_missing_frames_alone_are_made(drawing, whole):
    Shade().run(drawing.clip)
    for stem in ("0003", "0011"):
        (drawing.path / f"composite/{stem}.png").unlink()
    again = Shade()
    again.run(drawing.clip)
    assert again.made == ["0003", "0011"]
    assert contents(drawing) == whole
    assert Manifest.read(drawing.path / "composite/manifest.json").frames == 14, "over all runs"


def test_a_maker_that_fails_keeps_what_was_whole(drawing, whole):
    with pytest.raises(ValueError, match="no 0007"):
        Shade(fails_at="0007").run(drawing.clip)
    left = contents(drawing)
    assert sorted(left) == [f"{stem}.png" for stem in drawing.stems[:6]]
    assert left.items() <= whole.items()
    assert not contents(drawing, ".*")
    again = Shade()
    again.run(drawing.clip)
    assert again.made == drawing.stems[6:]
    assert contents(drawing) == whole


def test_a_maker_that_cannot_begin_costs_nothing(drawing, whole):
    Shade().run(drawing.clip)
    with pytest.raises(ValueError, match="no 0001"):
        Shade(gain=0.1, fails_at="0001").run(drawing.clip)
    again = Shade()
    again.run(drawing.clip)
    assert again.made == []
    assert contents(drawing) == whole


def test_a_frame_that_cannot_be_written_stops_the_stage(drawing):
    clip, manifest = drawing.clip, Manifest("shade", 1, {}, {})

    def make(stems):
        for stem in stems:
            if stem == "0003":
                (clip.composite.path / "0003.png").mkdir()
            yield stem, clip.frames.read(stem)

    with pytest.raises(IsADirectoryError, match=r"0003\.png"):
        Shade().complete(clip, clip.composite, clip.stems, lambda: manifest, lambda _: make)
    assert not contents(drawing, ".*")


def test_the_manifest_is_asked_again_after_fitting(drawing):
    clip, learnt = drawing.clip, ["untrained"]

    def manifest():
        return Manifest("shade", 1, {}, {"learnt": learnt[-1]})

    def begin(stems):
        assert stems == clip.stems
        learnt.append("weights")
        return lambda share: ((stem, clip.frames.read(stem)) for stem in share)

    Shade().complete(clip, clip.composite, clip.stems, manifest, begin)
    assert Manifest.read(clip.composite.path / "manifest.json").inputs == {"learnt": "weights"}


# -- shards


def test_a_shard_takes_a_stretch_of_neighbours():
    assert [Shard(k, 3).take(list("abcdefg")) for k in (1, 2, 3)] == [["a", "b"], ["c", "d"], ["e", "f", "g"]]
    assert Shard(5, 9).take(["a"]) == []
    assert str(Shard(2, 8)) == "2-of-8"


@pytest.mark.parametrize("order", [[1], [1, 2], [2, 1], [4, 1, 3, 5, 2]])
def test_shards_together_make_what_one_makes(drawing, whole, order):
    for index in order:
        stage = Shade(shard=Shard(index, len(order)))
        stage.run(drawing.clip)
        assert stage.made == Shard(index, len(order)).take(drawing.stems)
    assert contents(drawing) == whole
    assert Manifest.read(drawing.path / "composite/manifest.json").frames == 12
    after = Shade()
    after.run(drawing.clip)
    assert after.made == []


def test_more_shards_than_frames_do_no_harm(drawing, whole):
    for index in range(1, 15):
        Shade(shard=Shard(index, 14)).run(drawing.clip)
    assert contents(drawing) == whole


def test_shards_of_another_config_start_over_once(drawing):
    Shade(gain=0.9).run(drawing.clip)
    for index in (1, 2):
        Shade(shard=Shard(index, 2)).run(drawing.clip)
    assert Manifest.read(drawing.path / "composite/manifest.json").frames == 12
    np.testing.assert_array_equal(drawing.clip.composite.read("0001"), np.rint(drawing.images["0001"] * 0.5))
    np.testing.assert_array_equal(drawing.clip.composite.read("0002"), np.rint(drawing.images["0002"] * 0.5))


# -- processes


def start(drawing, shard="1/1", pause=0.02):
    command = [sys.executable, __file__, drawing.path, shard, str(pause)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def test_killed_and_started_again_it_ends_with_the_same_bytes(drawing, whole, kill_when):
    with start(drawing, pause=0.1) as child:
        for _ in range(5):
            child.stderr.readline()
        kill_when(child, lambda: True)
    left = contents(drawing)
    assert 0 < len(left) < 12
    assert left.items() <= whole.items(), "what is there is whole"
    # What a kill in the middle of a write leaves, of a frame and of the manifest:
    process = f"{owner().rpartition('-')[0]}-{child.pid}"
    for name in (f".0009.png.{process}-3.part", f".manifest.json.{process}-4.part"):
        (drawing.path / "composite" / name).write_bytes(b"half")
    again = Shade()
    again.run(drawing.clip)
    assert set(again.made) == set(drawing.stems) - {name.removesuffix(".png") for name in left}
    assert contents(drawing) == whole
    assert not contents(drawing, ".*")


def test_two_processes_at_once_make_each_frame_once(drawing, whole):
    children = [start(drawing) for _ in range(2)]
    made = []
    for child in children:
        made += child.communicate(timeout=60)[1].split()
        assert child.returncode == 0
    assert sorted(made) == drawing.stems
    assert contents(drawing) == whole


def test_two_shards_at_once_share_the_folder(drawing, whole):
    Shade(gain=0.9).run(drawing.clip)
    children = [start(drawing, shard) for shard in ("1/2", "2/2")]
    made = []
    for child in children:
        made += child.communicate(timeout=60)[1].split()
        assert child.returncode == 0
    assert sorted(made) == drawing.stems
    assert contents(drawing) == whole
    assert Manifest.read(drawing.path / "composite/manifest.json").frames == 12


def test_a_process_meanwhile_of_another_config_is_told(drawing, caplog):
    clip = drawing.clip
    manifest = Manifest("shade", 1, {"gain": 1}, {})

    def make(stems):
        for stem in stems:
            if stem == "0006":
                Manifest("shade", 1, {"gain": 9}, {}).write(clip.composite.path / "manifest.json")
            yield stem, clip.frames.read(stem)

    Shade().complete(clip, clip.composite, clip.stems, lambda: manifest, lambda _: make)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert Manifest.read(clip.composite.path / "manifest.json") != manifest, "so that it is not taken for done"


if __name__ == "__main__":
    folder, part, seconds = sys.argv[1:]
    cv2.setNumThreads(1)
    Shade(pause=float(seconds), shard=Shard(*map(int, part.split("/")))).run(Clip(Path(folder)))
