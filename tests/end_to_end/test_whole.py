"""From a video, masks and keyframes to a stylised video. Killed and parallel runs are processes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile

import av
import cv2
import numpy as np
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from tiny import overrides

from dreaming.cli.dream import main

STAGES = "stages=[extract,mask,stylise,composite,report]"
TINY = ("masker=unet", *overrides(max_steps=4, validate_every=2), STAGES)


def start(clip, *arguments, **options):
    command = [sys.executable, "-m", "dreaming", f"clip={clip}", *TINY, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def finish(process):
    """Wait for a process, which must succeed."""
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err + out
    assert "Traceback" not in err + out


@pytest.fixture
def dream(monkeypatch, unchanged_logging):
    """Run the program to its end in this process, which spares it the imports; return its log."""
    threads, cv_threads = torch.get_num_threads(), cv2.getNumThreads()

    def run(clip, *arguments):
        monkeypatch.setattr(sys, "argv", ["dreaming", f"clip={clip}", *TINY, *map(str, arguments)])
        GlobalHydra.instance().clear()
        with unchanged_logging(), pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0
        return log(clip)

    yield run
    torch.set_num_threads(threads)
    cv2.setNumThreads(cv_threads)
    GlobalHydra.instance().clear()
    os.environ.pop("HYDRA_FULL_ERROR", None)


def log(clip):
    return sorted(clip.glob("runs/dream/*/dream.log"))[-1].read_text()


def pictures(clip, *folders):
    return {str(p.relative_to(clip)): p.read_bytes() for folder in folders for p in clip.glob(f"{folder}/**/*.png")}


def pickled(checkpoint):
    """Everything in a checkpoint but the contents of tensors."""
    with zipfile.ZipFile(checkpoint) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        return archive.read(name)


def stamps(clip, *patterns):
    return {str(p.relative_to(clip)): p.stat().st_mtime_ns for pattern in patterns for p in clip.glob(pattern)}


MADE = (
    "frames/*",
    "masks/**/*",
    "styled/**/*",
    "composite/*",
    "dream.*",
    "shots.json",
    "split.json",
    "runs/unet/**",
    "runs/style/**",
)


@pytest.fixture
def filmed(disc_clip, film, tmp_path):
    """A clip with masks and a keyframe only, and its frames as a video with sound."""

    def make(name="clip", count=12, **more):
        drawing = disc_clip(name, count=count, size=(48, 64), masks=(1, 6, 12), frames=False, **more)
        return drawing, film(tmp_path / f"{name}.mkv", drawing.images.values(), sound=True)

    return make


@pytest.mark.slow
def test_from_nothing_to_the_video_and_nothing_twice(filmed, dream):
    drawing, video = filmed()
    clip = drawing.path
    dream(clip, f"video={video}")
    for folder in ("frames", "masks/unet", "styled/painted", "composite"):
        assert [path.stem for path in sorted(clip.glob(f"{folder}/*.png"))] == drawing.stems, folder
    assert "<html" in (clip / "report.html").read_text()
    with av.open(str(clip / "dream.mp4")) as made:
        assert {stream.type for stream in made.streams} == {"video", "audio"}
        assert sum(1 for _ in made.decode(video=0)) == 12

    records = [*clip.rglob("*.json")]
    names = {"manifest.json", "best.json", "fingerprint.json", "result.json", "fit.json", "split.json", "source.json"}
    assert names <= {path.name for path in records}
    assert [path for path in records if re.search(rb"dreaming\.[a-z]+", path.read_bytes())] == []
    assert [path for path in records if b'"schema": 1' not in path.read_bytes()] == []
    checkpoints = [*clip.glob("runs/**/*.ckpt")]
    assert {path.relative_to(clip).parts[1] for path in checkpoints} == {"unet", "style"}
    assert [path for path in checkpoints if b"dreaming." in pickled(path)] == []

    before = stamps(clip, *MADE)
    dream(clip, f"video={video}")
    assert stamps(clip, *MADE) == before

    masks = pictures(clip, "masks", "styled", "composite")
    (clip / "masks" / "unet" / "0005.png").unlink()
    dream(clip)
    assert pictures(clip, "masks", "styled", "composite") == masks
    after = stamps(clip, *MADE)
    remade = {name for name, stamp in after.items() if before.get(name) != stamp and name.endswith(".png")}
    assert remade == {"masks/unet/0005.png"}

    dream(clip, "stage.composite.feather=6.0")
    changed = {name for name, stamp in stamps(clip, *MADE).items() if after.get(name) != stamp}
    assert {name.split("/")[0] for name in changed} == {"composite", "dream.mp4", "dream.json"}
    assert {f"composite/{stem}.png" for stem in drawing.stems} <= changed
    assert len(list(clip.glob("runs/*/*/result.json"))) == 2


def killed_when(process, found):
    while process.poll() is None and not found():
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.slow
def test_killed_again_and_again_it_ends_with_the_same_frames(filmed, dream):
    whole, video = filmed("whole")
    dream(whole.path, f"video={video}")
    cut, _ = filmed("cut")
    arguments = [f"video={video}"]
    clip = cut.path
    moments = [
        lambda: list(clip.glob("frames/*.png")),
        lambda: list(clip.glob("runs/unet/*/fold-1/checkpoints/last.ckpt")),
        lambda: list(clip.glob("masks/unet/*.png")),
        lambda: list(clip.glob("styled/painted/*.png")),
        lambda: list(clip.glob("composite/*.png")),
    ]
    for moment in moments:
        killed_when(start(clip, *arguments), moment)
        for path in clip.rglob("*.png"):
            assert cv2.imread(str(path)) is not None, path
    dream(clip, *arguments)
    folders = ("frames", "styled", "composite", "masks")
    assert pictures(clip, *folders) == pictures(whole.path, *folders)
    assert not list(clip.rglob("*.part"))
    assert len(list(clip.glob("runs/*/*/result.json"))) == 2


@pytest.mark.slow
def test_two_processes_at_once_end_with_one_result(filmed, dream):
    alone, video = filmed("alone", count=12)
    dream(alone.path, f"video={video}")
    drawing, _ = filmed("both")
    both = [start(drawing.path, f"video={video}") for _ in range(2)]
    for process in both:
        finish(process)
    folders = ("frames", "masks", "styled", "composite")
    assert pictures(drawing.path, *folders) == pictures(alone.path, *folders)
    assert len(list(drawing.path.glob("runs/unet/*/result.json"))) == 1
    assert len(list(drawing.path.glob("runs/style/*/result.json"))) == 1
    assert not list(drawing.path.rglob("*.part"))


@pytest.mark.slow
def test_shards_of_a_video_that_look_around_end_as_one_run(filmed, dream):
    alone, video = filmed("alone")
    arguments = [f"video={video}", "stage.stylise.blend.sigma=1", "model.style.filtered=true"]
    dream(alone.path, *arguments)
    drawing, _ = filmed("both")
    both = [start(drawing.path, *arguments, f"shard={shard}/2") for shard in (1, 2)]
    for process in both:
        finish(process)
    folders = ("frames", "filtered", "masks", "styled", "composite")
    assert pictures(drawing.path, *folders) == pictures(alone.path, *folders)
    assert (drawing.path / "dream.mp4").exists()


@pytest.mark.slow
def test_keyframes_without_masks(disc_clip, dream):
    clip = disc_clip(masks=()).path
    dream(clip)
    assert not (clip / "masks").exists()
    assert (clip / "dream.mp4").exists()
    styled, composite = pictures(clip / "styled" / "painted", "."), pictures(clip / "composite", ".")
    assert all(
        np.array_equal(cv2.imread(str(clip / "styled" / "painted" / name)), cv2.imread(str(clip / "composite" / name)))
        for name in styled
    ), "without masks the style covers the whole frame"
    assert set(styled) == set(composite)


@pytest.mark.slow
def test_masks_without_keyframes(disc_clip, dream):
    drawing = disc_clip(masks=(1, 8), keyframes=())
    dream(drawing.path)
    assert not (drawing.path / "styled").exists()
    assert not (drawing.path / "composite").exists()
    assert len(list(drawing.path.glob("masks/unet/*.png"))) == 8
    assert not (drawing.path / "dream.mp4").exists()


@pytest.mark.slow
def test_the_explicit_layout(disc_clip, dream):
    drawing = disc_clip(masks=(), keyframes=())
    layout = {
        "nn/train": ("0001", "0004", "0008"),
        "nn/valid": ("0006",),
        "ensemble/train": ("0002",),
        "ensemble/valid": ("0005",),
    }
    for folder, stems in layout.items():
        for stem in stems:
            drawing.save(f"{folder}_input/{stem}.png", drawing.images[stem])
            drawing.save(f"{folder}_output/{stem}.png", drawing.truth[stem])
    for stem in layout["nn/train"]:
        drawing.save(f"backsub/{stem}.png", drawing.truth[stem])
    dream(drawing.path, "stages=[mask]")
    assert len(list(drawing.path.glob("masks/unet/*.png"))) == 8
    best = json.loads((drawing.path / "runs" / "unet" / "best.json").read_text())
    assert best["validation"] == "explicit"


@pytest.mark.slow
def test_two_parts_in_layers_with_alpha(disc_clip, dream):
    drawing = disc_clip(masks=(), keyframes=())
    for stem in ("0001", "0004", "0008"):
        top = drawing.truth[stem].copy()
        top[16:] = False
        drawing.save(f"parts/dancer/hand_masks/{stem}.png", drawing.truth[stem])
        drawing.save(f"parts/head/hand_masks/{stem}.png", top)
    for layer in ("ground", "dancer", "hair"):
        drawing.save(f"keyframes/{layer}/0004.png", drawing.styled["0004"])
    (drawing.path / "clip.yaml").write_text(
        "layers:\n"
        "  - {name: ground, part: dancer, invert: true}\n"
        "  - {name: dancer, part: dancer}\n"
        "  - {name: hair, part: head}\n"
    )
    dream(drawing.path, "matte=none", "stage.composite.alpha=true", "stage.composite.feather=0")
    for folder in ("masks/dancer/unet", "masks/head/unet", "styled/hair", "alpha/ground", "alpha/dancer", "composite"):
        assert len(list(drawing.path.glob(f"{folder}/*.png"))) == 8, folder
    read = lambda folder: cv2.imread(str(drawing.path / folder / "0003.png"), cv2.IMREAD_UNCHANGED)
    ground, dancer = read("alpha/ground")[..., 3], read("alpha/dancer")[..., 3]
    np.testing.assert_array_equal(ground.astype(int) + dancer, 255)
    np.testing.assert_array_equal(dancer > 0, read("masks/dancer/unet") > 127)
