"""Pruning frees what can be computed again, and nothing that dreaming did not write or still needs."""

import os
import socket

import filelock
import numpy as np
import pytest

from dreaming.artifacts.manifest import MANIFEST, Manifest
from dreaming.errors import ClipError
from dreaming.guides.storage import GuideFolder
from dreaming.io.atomic import temporary_path
from dreaming.io.frame_folder import FrameFolder
from dreaming.training.run_registry import Best, record
from dreaming.upkeep.pruning import prune, removable

PICTURE = np.zeros((4, 4, 3), np.uint8)
DEAD = 2**22 + 1
"""Above the greatest process id of Linux."""


def fill(folder, maker):
    folder.write("0001", PICTURE[..., : folder.channels] if isinstance(folder, GuideFolder) else PICTURE)
    Manifest(maker, 1, {}, {}, stems=["0001", "0002", "../0001"]).write(folder.path / MANIFEST)


@pytest.fixture
def drawing(disc_clip):
    drawn = disc_clip(count=3, masks=(1, 3), keyframes=())
    fill(FrameFolder(drawn.path / "flow"), "flow")
    fill(FrameFolder(drawn.path / "masks" / "gmm"), "mask")
    fill(FrameFolder(drawn.path / ".previous" / "masks" / "gmm" / "abc"), "mask")
    fill(FrameFolder(drawn.path / "predictions" / "subject" / "flow" / "abc"), "predictions")
    fill(GuideFolder(drawn.path / "guides" / "painted" / "edges", 2), "guide")
    return drawn


def files(drawing):
    return {str(path.relative_to(drawing.path)) for path in drawing.path.rglob("*") if path.is_file()}


def run(drawing, number, *, model="style", score=0.5, **fingerprint):
    folder = drawing.path / "runs" / model / str(number)
    for name in ("best", "end", "last", "rolling"):
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        (folder / "checkpoints" / f"{name}.ckpt").write_text(f"{number} {name}")
    made = {"references": "a", "task": 1, **fingerprint}
    best = Best(folder, "checkpoints/best.ckpt", score, "val", "max", 1, "folds", "subject", made, 1.0)
    record(best, folder.parent)
    return best


def checkpoints(drawing):
    return {name.removeprefix("runs/") for name in files(drawing) if name.endswith(".ckpt")}


def test_caches_are_freed_and_everything_else_stays(drawing):
    caches = {"flow/0001.png", "predictions/subject/flow/abc/0001.png", "guides/painted/edges/1/0001.png"}
    caches |= {".previous/masks/gmm/abc/0001.png"}
    caches |= {f"{folder}/{MANIFEST}" for folder in ("flow", "predictions/subject/flow/abc", "guides/painted/edges")}
    caches |= {f".previous/masks/gmm/abc/{MANIFEST}"}
    before = files(drawing)
    assert caches < before
    sizes = sum((drawing.path / name).stat().st_size for name in caches)
    assert prune(drawing.path, delete=False) == sizes
    assert files(drawing) == before
    assert prune(drawing.path, delete=True) == sizes
    assert files(drawing) == before - caches
    assert not (drawing.path / "guides").exists()
    assert not removable(drawing.path)


def test_files_of_the_user_stay(drawing, tmp_path):
    drawing.save("flow/0002.png", PICTURE)  # named in the manifest, but without dreaming's mark
    drawing.save("flow/notes.png", PICTURE)
    theirs = FrameFolder(drawing.path / "guides" / "mine")
    fill(theirs, "somebody")
    outside = FrameFolder(tmp_path / "elsewhere")
    fill(outside, "guide")
    (drawing.path / "guides" / "linked").symlink_to(outside.path)
    (drawing.path / "filtered").symlink_to(outside.path)
    fill(FrameFolder(drawing.path / "predictions" / "newer"), "predictions")
    record = drawing.path / "predictions" / "newer" / MANIFEST
    record.write_text(record.read_text().replace('"schema": 1', '"schema": 99'))
    prune(drawing.path, delete=True)
    kept = {"flow/0002.png", "flow/notes.png", "guides/mine/0001.png", "predictions/newer/0001.png"}
    assert kept < files(drawing)
    assert (outside.path / "0001.png").exists()
    assert (outside.path / MANIFEST).exists()


def test_weights_that_a_result_uses_stay(drawing):
    used, best = run(drawing, 1), run(drawing, 2, score=0.9, task=2)
    run(drawing, 3, score=0.4, task=3)
    run(drawing, 4, score=0.6, task=4)
    fill(FrameFolder(drawing.path / "styled" / "subject"), "stylise")
    made = Manifest("stylise", 1, {}, {"weights": used.weights_fingerprint})
    made.write(drawing.path / "styled" / "subject" / MANIFEST)
    unfinished = drawing.path / "runs" / "style" / "5" / "checkpoints" / "last.ckpt"
    unfinished.parent.mkdir(parents=True)
    unfinished.touch()
    prune(drawing.path, delete=True)
    kept = {f"style/{number}/checkpoints/{name}.ckpt" for number in (1, 2, 4) for name in ("best", "end")}
    assert checkpoints(drawing) == kept | {"style/5/checkpoints/last.ckpt"}
    assert (drawing.path / "runs" / "style" / "3" / "result.json").exists()
    assert best.weights.exists()


def test_the_style_of_the_live_view_stays_without_its_earlier_ones(drawing):
    Manifest("mask", 1, {}, {"fitted": "of several"}).write(drawing.path / "masks" / "gmm" / MANIFEST)
    for number, score in ((1, 0.5), (2, 0.9), (3, 0.4)):
        run(drawing, number, model="style-live", score=score, task=number)
    prune(drawing.path, delete=True)
    kept = {f"style-live/{number}/checkpoints/{name}.ckpt" for number in (2, 3) for name in ("best", "end")}
    assert checkpoints(drawing) == kept, "2 is the best, which live view paints with, 3 the newest"


def test_a_preview_and_its_weights_stay(drawing):
    brief = run(drawing, 1)
    for number in (2, 3):
        run(drawing, number, score=0.9, task=number)
    painted = FrameFolder(drawing.path / "preview" / "styled" / "subject")
    fill(painted, "stylise")
    Manifest("stylise", 1, {}, {"weights": brief.weights_fingerprint}, stems=["0001"]).write(painted.path / MANIFEST)
    prune(drawing.path, delete=True)
    assert "style/1/checkpoints/best.ckpt" in checkpoints(drawing)
    assert (painted.path / "0001.png").exists()


def test_weights_behind_other_maskers_stay(drawing):
    for number, score in ((1, 0.5), (2, 0.9), (3, 0.4)):
        run(drawing, number, model="unet", score=score, task=number != 1)
    made = Manifest("mask", 1, {}, {"fitted": "of several"}, stems=["0001"])
    made.write(drawing.path / "masks" / "gmm" / MANIFEST)
    prune(drawing.path, delete=True)
    best = {f"unet/{number}/checkpoints/best.ckpt" for number in (1, 2, 3)}
    assert checkpoints(drawing) & best == best, "1 is of its own kind, 2 the best, 3 the newest"
    (drawing.path / "masks" / "gmm" / MANIFEST).unlink()
    prune(drawing.path, delete=True)
    assert checkpoints(drawing) & best == best - {"unet/1/checkpoints/best.ckpt"}


def test_temporary_files_of_dead_processes(drawing):
    mine = temporary_path(drawing.path / "frames" / "0001.png")
    dead = mine.with_name(mine.name.replace(f"-{os.getpid()}-", f"-{DEAD}-"))
    foreign = dead.with_name(dead.name.replace(socket.gethostname().replace("-", "_")[:40], "elsewhere"))
    theirs = mine.with_name(".video.mp4.part")
    for path in (mine, dead, foreign, theirs):
        path.touch()
    prune(drawing.path, delete=True)
    assert [path.exists() for path in (mine, dead, foreign, theirs)] == [True, False, True, True]


def test_a_clip_in_use_is_refused(drawing):
    (drawing.path / ".locks").mkdir(exist_ok=True)
    before = files(drawing)
    with filelock.FileLock(drawing.path / ".locks" / "fit.lock"), pytest.raises(ClipError):
        prune(drawing.path, delete=True)
    assert before <= files(drawing)
