"""A finished command ends at once, and runs again after any change that may matter."""

import time

import pytest

from dreaming.artifacts.manifest import MANIFEST, Manifest
from dreaming.clip.clip import EXTRACT
from dreaming.upkeep.finished import RECORD, FinishedCommand

STAGES = ["mask", "composite"]


@pytest.fixture
def drawing(disc_clip):
    drawn = disc_clip(count=3, masks=(1, 3), keyframes=())
    for name in ("masks/flow", "composite", "flow", "predictions", "runs/unet/1", "sweeps/a"):
        (drawn.path / name).mkdir(parents=True)
        (drawn.path / name / "0001.png").touch()
    return drawn


def command(drawing, *arguments, begun=60.0):
    begins = FinishedCommand.begin(drawing.path, arguments, [])
    # No program can set the time at which a file changed, so the command begins later.
    return FinishedCommand(begins.clip, begins.about, time.time() + begun)


def finish(drawing, *, stages=STAGES, config=None, begun=60.0):
    command(drawing, begun=begun).record(config or {}, stages, [drawing.path / "dream.mp4"])


def test_a_finished_command_logs_its_stages_and_files(drawing, caplog):
    assert not command(drawing).has_finished()
    finish(drawing)
    caplog.set_level("INFO")
    assert command(drawing).has_finished()
    assert [record.args[0] for record in caplog.records] == ["mask, composite", str(drawing.path / "dream.mp4")]
    assert not command(drawing, "masker=gmm").has_finished()


@pytest.mark.parametrize(
    "path",
    [
        *("frames/0002.png", "hand_masks/0001.png", "clip.yaml", "masks/flow/0001.png", "composite/0001.png"),
        *("runs/unet/best.json", "runs/unet/1/result.json", "sweeps/a/best.yaml", "keyframes/new/0001.png"),
    ],
)
def test_a_changed_file_ends_it(drawing, path):
    finish(drawing)
    (drawing.path / path).parent.mkdir(parents=True, exist_ok=True)
    (drawing.path / path).write_bytes(b"other")
    assert not command(drawing).has_finished()


@pytest.mark.parametrize(
    "path", ["flow/0001.png", "predictions/0001.png", "runs/unet/1/0001.png", "runs/dream/1/dream.log", ".locks/x"]
)
def test_caches_and_logs_do_not_count(drawing, path):
    finish(drawing)
    (drawing.path / path).parent.mkdir(parents=True, exist_ok=True)
    (drawing.path / path).write_bytes(b"other")
    assert command(drawing).has_finished()


def test_a_cache_counts_for_its_own_stage(drawing):
    finish(drawing, stages=["flow"])
    (drawing.path / "flow" / "0001.png").unlink()
    assert not command(drawing).has_finished()


def test_files_that_the_config_names_count(drawing, tmp_path):
    truth = tmp_path / "truth"
    truth.mkdir()
    finish(drawing, config={"stage": [{"truth": str(truth)}]})
    assert command(drawing).has_finished()
    (truth / "0001.png").touch()
    assert not command(drawing).has_finished()


def test_a_file_that_changed_during_the_command_prevents_the_record(drawing):
    finish(drawing, begun=0.0)
    assert not (drawing.path / RECORD).exists()


def test_results_may_change_during_the_command(drawing):
    Manifest(EXTRACT, 1, {}, {}).write(drawing.path / "frames" / MANIFEST)
    for name in ("hand_masks", "sweeps"):
        (drawing.path / name).rename(drawing.path.parent / name)
    finish(drawing, begun=0.0)
    assert command(drawing).has_finished()


@pytest.mark.parametrize("text", ["", "[]", '{"commands": 1}', '{"commands": [{"about": 2}]}'])
def test_a_damaged_record_is_no_record(drawing, text):
    (drawing.path / RECORD).write_text(text)
    assert not command(drawing).has_finished()
