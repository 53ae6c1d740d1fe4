"""The flow stage: up to date, in shards, and interrupted. As a script, a slow stage to kill."""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import cv2
import pytest

from dreaming.artifacts.shard import Shard
from dreaming.clip.clip import Clip
from dreaming.flow.dis import DisFlow
from dreaming.stages.flow import FlowStage


def files(drawing):
    return {path.name: path.read_bytes() for path in (drawing.path / "flow").glob("*.png")}


@pytest.fixture
def whole(disc_clip):
    other = disc_clip("whole", count=12, size=(120, 160), masks=(), keyframes=())
    FlowStage(DisFlow()).run(other.clip)
    return files(other)


@pytest.fixture
def drawing(disc_clip):
    return disc_clip(count=12, size=(120, 160), masks=(), keyframes=())


def test_every_pair_is_computed_once(drawing, whole):
    first, again = FlowStage(DisFlow()), FlowStage(DisFlow(), writers=1)
    first.run(drawing.clip)
    again.run(drawing.clip)
    assert (first.frames_needed, first.frames_made) == (11, 11)
    assert (again.frames_needed, again.frames_made) == (11, 0)
    assert files(drawing) == whole


@pytest.mark.parametrize("order", [[1, 2, 3], [3, 1, 2]])
def test_shards_together_equal_one_run(drawing, whole, order):
    for index in order:
        FlowStage(DisFlow(), shard=Shard(index, 3)).run(drawing.clip)
    assert files(drawing) == whole


def test_a_killed_run_continues_to_the_same_bytes(drawing, whole, kill_when):
    with subprocess.Popen([sys.executable, __file__, drawing.path], stdout=subprocess.DEVNULL) as child:
        kill_when(child, lambda: len(files(drawing)) >= 3)
    left = files(drawing)
    assert 3 <= len(left) < 11, "interrupted midway"
    assert left.items() <= whole.items(), "existing files are complete"
    FlowStage(DisFlow()).run(drawing.clip)
    assert files(drawing) == whole
    assert not list((drawing.path / "flow").glob(".*"))


def test_a_single_frame_is_skipped(disc_clip):
    assert FlowStage(DisFlow()).skips(disc_clip(count=1, masks=(), keyframes=()).clip) is not None
    assert FlowStage(DisFlow()).skips(disc_clip("two", count=2, masks=(), keyframes=()).clip) is None


@dataclass(frozen=True)
class Slow(DisFlow):
    """Slow enough to be interrupted, with the results and the record of ``DisFlow``."""

    kind: ClassVar[str] = DisFlow.kind

    def between(self, one, other):
        time.sleep(0.05)
        return DisFlow().between(one, other)


if __name__ == "__main__":
    cv2.setNumThreads(1)
    FlowStage(Slow(), writers=1).run(Clip(Path(sys.argv[1])))
