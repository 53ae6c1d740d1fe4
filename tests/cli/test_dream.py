"""``dreaming`` on the tiny clip: the refusals that a user can cause, stages, maskers and settings."""

import errno
import json
import os
import resource
import shutil
import subprocess
from contextlib import contextmanager

import av
import cv2
import numpy as np
import pytest
import torch

from dreaming.cli.stages import run_stages
from dreaming.errors import DreamingError
from dreaming.instantiation.build import build

FULL = "no space left"
MADE = ("masks", "styled", "composite", "alpha", "dream.mp4", "source.json", "report.html")


def half_written(path):
    return [str(found) for found in path.rglob("*.part")] + [name for name in MADE if (path / name).exists()]


def broken(drawing, place, data=None):
    path = drawing.path / place
    path.write_bytes(path.read_bytes()[:-40] if data is None else data)


INPUTS = {
    "no frames": (lambda d: shutil.rmtree(d.path / "frames"), ("frames", "no frames")),
    "a frame of another size": (
        lambda d: d.save("frames/0005.png", np.zeros((30, 48, 3), np.uint8)),
        ("0005.png", "48x30", "48x32"),
    ),
    "a truncated frame": (lambda d: broken(d, "frames/0003.png"), ("0003.png", "damaged")),
    "an empty frame": (lambda d: broken(d, "frames/0001.png", b""), ("0001.png", "empty file")),
    "a mask without frame": (lambda d: d.save("hand_masks/0044.png", d.truth["0004"]), ("0044",)),
    "empty masks alone": (
        lambda d: [d.save(f"hand_masks/{stem}.png", np.zeros((32, 48), bool)) for stem in ("0001", "0004", "0008")],
        ("hand_masks/0001.png", "without any foreground"),
    ),
    "a mask of another size": (
        lambda d: d.save("hand_masks/0004.png", np.eye(20, dtype=bool)),
        ("hand_masks/0004.png", "20x20", "48x32"),
    ),
    "a truncated mask": (lambda d: broken(d, "hand_masks/0001.png"), ("hand_masks/0001.png", "damaged")),
    "too few masks": (
        lambda d: [(d.path / "hand_masks" / f"{stem}.png").unlink() for stem in ("0001", "0008")],
        ("1 hand mask", "at least 2"),
    ),
    "two pictures of a name": (lambda d: d.save("frames/0001.jpg", d.images["0001"]), ("0001", "same name")),
    "a source.json that is damaged": (
        lambda d: (
            (d.path / "source.json").write_text("{"),
            (d.path / "frames" / "manifest.json").write_text('{"maker": "extract"}'),
        ),
        ("source.json", "damaged"),
    ),
}


def refusal(config, clip, stages):
    """What a run of these stages on a clip is refused with."""
    config.clip, config.stages = str(clip), stages
    with pytest.raises(DreamingError) as error:
        run_stages(config)
    return str(error.value)


def test_what_is_wrong_with_the_input_is_named_and_nothing_is_half_written(disc_clip, in_job, tiny):
    def look(config):
        for what, (spoil, words) in INPUTS.items():
            drawing = disc_clip(what)
            spoil(drawing)
            before = set(half_written(drawing.path))
            sentence = refusal(config, drawing.path, ["extract", "mask", "stylise", "composite"])
            assert all(word in sentence for word in words), (what, sentence)
            assert set(half_written(drawing.path)) <= before, what

    in_job(look, *tiny())


def test_an_input_that_is_wrong_ends_a_run_with_one_sentence(disc_clip, refused, tiny):
    drawing = disc_clip()
    broken(drawing, "frames/0003.png")
    refused("dreaming", f"clip={drawing.path}", *tiny(), "stages=[mask]", words=("0003.png", "damaged"))
    assert not half_written(drawing.path)


KEYFRAMES = {
    "keyframes without layer": (lambda d: d.save("keyframes/0001.png", d.styled["0001"]), ("keyframes", "layer")),
    "another size": (lambda d: d.save("keyframes/painted/0004.png", np.zeros((8, 9, 3), np.uint8)), ("9x8", "48x32")),
    "no frame": (lambda d: d.save("keyframes/painted/0040.png", d.styled["0004"]), ("0040",)),
    "truncated": (lambda d: broken(d, "keyframes/painted/0004.png"), ("painted/0004.png", "damaged")),
    "transparent": (
        lambda d: d.save("keyframes/painted/0004.png", np.zeros((32, 48, 4), np.uint8)),
        ("painted/0004.png", "transparent all over"),
    ),
    "an empty mask": (
        lambda d: d.save("keyframes/painted/masks/0004.png", np.zeros((32, 48), bool)),
        ("masks/0004.png", "without any foreground"),
    ),
}


@pytest.mark.slow
def test_a_keyframe_that_does_not_fit_is_named_before_masks_are_made(disc_clip, in_job, tiny):
    def look(config):
        for what, (spoil, words) in KEYFRAMES.items():
            drawing = disc_clip(what)
            spoil(drawing)
            for stages in (["mask", "stylise"], ["mask", "preview"]):
                sentence = refusal(config, drawing.path, stages)
                assert all(word in sentence for word in words), (what, sentence)
                assert not half_written(drawing.path), what
                assert not (drawing.path / "masks").exists(), what

    in_job(look, *tiny())


def test_a_video_that_cannot_be_used_is_named(disc_clip, film, tmp_path, in_job, tiny):
    drawing = disc_clip(frames=False)
    text = tmp_path / "text.mp4"
    text.write_text("no video at all")
    whole = film(tmp_path / "whole.mkv", drawing.images.values())
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    mute = tmp_path / "sound.mka"
    with av.open(str(mute), "w", format="matroska") as output:
        track = output.add_stream("aac", rate=48000, layout="mono")
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 48000), np.float32), format="fltp", layout="mono")
        samples.sample_rate, samples.pts = 48000, 0
        output.mux(track.encode(samples))
        output.mux(track.encode(None))

    def look(config):
        for path in (text, mute, cut):
            made = tmp_path / path.stem
            config.video = str(path)
            assert path.name in refusal(config, made, ["extract", "mask"])
            assert not half_written(made)
            assert not list(made.glob("frames/*.png"))

    in_job(look, *tiny())


def test_input_that_is_refused_leaves_no_record_of_a_run(disc_clip, tmp_path, refused, tiny):
    """Neither a new folder for a damaged video, nor anything in a clip with a wrong frame."""
    (tmp_path / "text.mp4").write_text("no video at all")
    drawing = disc_clip()
    drawing.save("frames/0002.png", np.zeros((8, 9, 3), np.uint8))
    before = set(tmp_path.rglob("*"))
    refused("dreaming", f"clip={tmp_path / 'clips' / 'new'}", f"video={tmp_path / 'text.mp4'}", *tiny())
    refused("dreaming", f"clip={drawing.path}", *tiny(), words=("0002.png", "9x8"))
    assert set(tmp_path.rglob("*")) == before
    chosen = tmp_path / "records"
    (chosen / ".hydra").mkdir(parents=True)
    (chosen / "dream.log").write_text("of an earlier run\n")
    refused("dreaming", f"clip={drawing.path}", f"hydra.run.dir={chosen}", *tiny(), words="0002.png")
    assert (chosen / "dream.log").read_text().startswith("of an earlier run\n")


@pytest.mark.slow
def test_your_own_frames_and_a_video_are_one_too_many(disc_clip, film, tmp_path, refused, tiny):
    drawing = disc_clip()
    video = film(tmp_path / "a.mkv", drawing.images.values())
    refused("dreaming", f"clip={drawing.path}", f"video={video}", *tiny(), words=("frames of your own", "video="))


@pytest.mark.slow
def test_a_checkpoint_of_another_network_is_refused(disc_clip, run, refused, tiny):
    drawing = disc_clip(masks=(1, 8), keyframes=())
    arguments = [f"clip={drawing.path}", *tiny(), "stages=[mask]"]
    assert run("dreaming", *arguments, "masker=cnn").code == 0
    runs = drawing.path / "runs" / "cnn"
    weights = runs / json.loads((runs / "best.json").read_text())["checkpoint"]
    checkpoint = torch.load(weights, weights_only=True)
    checkpoint["state_dict"] = {f"other.{name}": tensor for name, tensor in checkpoint["state_dict"].items()}
    torch.save(checkpoint, weights)
    before = {p: p.read_bytes() for p in drawing.path.glob("masks/cnn/*")}
    refused("dreaming", *arguments, "masker=cnn", words=(weights.name, "no checkpoint of this model"))
    assert {p: p.read_bytes() for p in drawing.path.glob("masks/cnn/*")} == before
    weights.write_text("hello")
    refused("dreaming", *arguments, "masker=cnn", words=weights.name)


@pytest.mark.slow
def test_several_maskers_in_one_run_and_in_a_multirun(disc_clip, run, tiny):
    together = disc_clip("together", masks=(1, 8), keyframes=())
    ran = run("dreaming", f"clip={together.path}", *tiny(), "stages=[mask]", "masker=[threshold,flow]")
    assert ran.code == 0
    apart = disc_clip("apart", masks=(1, 8), keyframes=())
    ran = run("dreaming", "-m", f"clip={apart.path}", *tiny(), "stages=[mask]", "masker=threshold,flow")
    assert ran.code == 0
    for masker in ("threshold", "flow"):
        assert apart.clip.masks("subject", masker).stems == apart.stems
        for stem in apart.stems:
            made = [d.path / "masks" / masker / f"{stem}.png" for d in (together, apart)]
            assert made[0].read_bytes() == made[1].read_bytes()


@pytest.mark.slow
def test_shards_of_a_multirun_make_all_frames_with_one_training(disc_clip, run, tiny):
    drawing = disc_clip(masks=(1, 8), keyframes=())
    arguments = [f"clip={drawing.path}", *tiny(), "stages=[mask]", "masker=cnn"]
    assert run("dreaming", "-m", *arguments, "shard=3/3,2/3").code == 0
    assert drawing.clip.masks("subject", "cnn").stems == drawing.stems[2:]
    assert run("dreaming", *arguments, "shard=1/3").code == 0
    assert drawing.clip.masks("subject", "cnn").stems == drawing.stems
    assert len(list(drawing.path.glob("runs/cnn/*/result.json"))) == 1


@pytest.mark.slow
def test_shards_from_a_video_make_what_one_run_makes(disc_clip, film, run, tmp_path, tiny):
    whole, shared = (disc_clip(name, frames=False, masks=(1, 8), keyframes=()) for name in ("whole", "shared"))
    video = film(tmp_path / "a.mkv", whole.images.values())
    arguments = [f"video={video}", *tiny(), "stages=[mask]", "masker=threshold"]
    assert run("dreaming", f"clip={whole.path}", *arguments).code == 0
    assert run("dreaming", "-m", f"clip={shared.path}", *arguments, "shard=1/2,2/2").code == 0
    for folder in ("frames", "masks/threshold"):
        made, expected = (
            {path.name: path.read_bytes() for path in (drawing.path / folder).glob("*.png")}
            for drawing in (shared, whole)
        )
        assert len(made) == 8
        assert made == expected


@pytest.mark.slow
def test_in_a_multirun_a_clip_that_is_refused_does_not_stop_the_others(disc_clip, run, tiny):
    spoilt, sound = disc_clip("spoilt", masks=(1, 8), keyframes=()), disc_clip("sound", masks=(1, 8), keyframes=())
    (spoilt.path / "hand_masks/0001.png").write_bytes(b"no picture")
    clips = f"clip={spoilt.path},{sound.path}"
    ran = run(
        "dreaming", "-m", clips, *tiny(), "stages=[mask]", "masker=threshold", f"hydra.sweep.dir={spoilt.path}/sweep"
    )
    assert ran.code == 2
    assert f"{spoilt.path}/hand_masks/0001.png" in ran.err
    assert "Traceback" not in ran.err + ran.out
    assert sound.clip.masks("subject", "threshold").stems == sound.stems
    assert not (spoilt.path / "masks").exists()


@pytest.mark.slow
def test_a_subject_that_leaves_is_dreamt_scored_and_suggested_for(disc_clip, run, tiny):
    """Every masker of the default ensemble meets an empty mask, in the fit on all and in those that leave it out."""
    drawing = disc_clip(masks=(1, 4))
    drawing.save("hand_masks/0008.png", np.zeros((32, 48), bool))
    small = ("masker.pixels.boosting.max_iter=5", "masker.pixels.samples=200", "data.features.round_trips=1")
    stages = "stages=[mask,stylise,composite,evaluate,suggest,report]"
    clip = f"clip={drawing.path}"
    ran = run("dreaming", clip, *(part for part in tiny() if not part.startswith("masker=")), *small, stages)
    assert ran.code == 0, ran.err
    assert ran.out.replace("\n", "").count("no foreground in hand_masks/0008.png") == 1
    for made in ("dream.mp4", "report.html", "suggestions.png"):
        assert (drawing.path / made).exists(), made
    (rows,) = (json.loads(path.read_text())["frames"] for path in drawing.path.glob("runs/*/*/evaluation.json"))
    assert {row["frame"] for row in rows if row["name"] == "ensemble"} == {"0001", "0004", "0008"}


@pytest.mark.slow
def test_a_single_mask_is_enough_for_the_maskers_that_readme_names(disc_clip, run, tiny):
    drawing = disc_clip(masks=(4,), keyframes=())
    maskers = ("flow", "pixels", "grabcut", "gmm", "threshold")
    named = f"masker=[{','.join(maskers)}]"
    ran = run("dreaming", f"clip={drawing.path}", *tiny(), named, "stages=[mask,evaluate]")
    assert ran.code == 0, ran.err
    for masker in maskers:
        masks = drawing.clip.masks("subject", masker)
        for stem, truth in drawing.truth.items():  # on both sides of the mask
            found = masks.read_mask(stem)
            assert (found & truth).sum() > 0.9 * (found | truth).sum(), (masker, stem)


@pytest.mark.slow
def test_clip_yaml_says_how_frames_are_taken_and_the_command_line_beats_it(disc_clip, film, run, tmp_path, tiny):
    drawing = disc_clip(frames=False, masks=(), keyframes=())
    video = film(tmp_path / "a.mkv", drawing.images.values())
    (drawing.path / "clip.yaml").write_text("{start: 2, end: 7, every: 2, size: [16, 24], gamma: 2.0}")
    arguments = [f"clip={drawing.path}", f"video={video}", *tiny(), "stages=[extract]"]
    assert run("dreaming", *arguments).code == 0
    assert drawing.clip.stems == ["0002", "0004", "0006"]
    assert drawing.clip.size == (16, 24)
    darker = drawing.clip.frames.read("0004").mean()
    assert run("dreaming", *arguments, "stage.extract.gamma=1.0", "stage.extract.every=3").code == 0
    assert drawing.clip.stems == ["0002", "0005"]
    assert drawing.clip.frames.read("0002").mean() > darker + 10


@pytest.mark.slow
def test_what_is_skipped_is_told_in_one_line_each(disc_clip, run, tiny):
    drawing = disc_clip(masks=(), keyframes=())
    ran = run("dreaming", f"clip={drawing.path}", *tiny())
    assert ran.code == 0
    (kept,) = drawing.path.glob("runs/dream/*/dream.log")
    lines = kept.read_text().splitlines()
    names = [line.split(": ")[1] for line in lines if ": skipped, " in line]
    assert names == ["extract", "mask", "stylise", "composite", "evaluate"], "the stages that the user named"
    (following,) = (line for line in lines if ": next: " in line)
    assert str(drawing.path) in following
    assert "Traceback" not in ran.err
    assert (drawing.path / "report.html").exists()
    assert not (drawing.path / "dream.mp4").exists()


@contextmanager
def files_up_to(limit):
    """Let this process write no file longer than ``limit`` bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.slow
def test_a_full_disk_is_told_and_leaves_nothing_half_written(disc_clip, film, tmp_path, refused, tiny):
    drawing = disc_clip(frames=False, size=(120, 160), masks=(), keyframes=())
    video = film(tmp_path / "a.mkv", drawing.images.values())
    with files_up_to(20_000):
        refused("dreaming", f"clip={drawing.path}", f"video={video}", *tiny(), "stages=[extract]", words=FULL)
    assert not list(drawing.path.rglob("*.part"))
    for path in drawing.path.glob("frames/*.png"):
        assert cv2.imread(str(path)) is not None


def test_a_checkpoint_that_finds_no_room_is_told(disc_clip, refused, tiny):
    drawing = disc_clip(masks=(1, 8), keyframes=())
    with files_up_to(9_000):
        refused("dreaming", f"clip={drawing.path}", *tiny(), "stages=[mask]", "masker=cnn", words=FULL)
    assert not half_written(drawing.path)


def test_a_disk_that_is_full(disc_clip, tmp_path, refused, tiny):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=120k", "tmpfs", str(disk)]
    if os.geteuid() or shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("may not mount a file system")
    try:
        drawing = disc_clip(masks=(1, 8))
        shutil.copytree(drawing.path, disk / "clip")
        said = refused("dreaming", f"clip={disk / 'clip'}", *tiny(), "stages=[mask]", "masker=cnn", words=FULL)
        assert os.strerror(errno.ENOSPC) not in said
        assert not list(disk.rglob("*.part"))
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.slow
def test_a_key_may_take_the_value_of_another(in_job, tiny):
    def look(config):
        assert build(config, "model.unet").lucid_dreaming.count == 1

    shared = ("data.lucid_dreaming.count=1", "model.unet.lucid_dreaming=${data.lucid_dreaming}")
    in_job(look, *tiny(), "model.unet.folds=2", *shared)


@pytest.mark.slow
def test_a_style_inside_a_layer_s_mask_has_masks_made_first(disc_clip, run, tiny):
    drawing = disc_clip(masks=(1, 8))
    ran = run(
        "dreaming",
        f"clip={drawing.path}",
        "stages=[stylise]",
        *tiny(),
        "masker=threshold",
        "guides=[]",
        "model.style.roi.margin=3",
    )
    assert ran.code == 0, ran.err
    assert len(list(drawing.path.glob("masks/*/*.png"))) == 8
    assert len(list(drawing.path.glob("styled/painted/*.png"))) == 8


@pytest.mark.slow
def test_a_filter_that_the_style_does_not_look_through_is_told(disc_clip, in_job, capsys, tiny):
    def look(config):
        for used in (False, True):
            config.model.style.filtered = used
            capsys.readouterr()
            run_stages(config)
            assert ("model.style.filtered=true" in capsys.readouterr().out) is not used

    in_job(look, *tiny(), "stages=[filter,stylise]", clip=disc_clip(count=2, masks=(), keyframes=()).path)


@pytest.mark.slow
def test_a_kind_of_guide_is_given_twice(disc_clip, run, tiny):
    drawing = disc_clip(count=2, masks=(), keyframes=(2,))
    twice = ("guides=[gauss,wide]", "+guide@guide.wide=gauss", "guide.wide.sigma=15")
    assert run("dreaming", f"clip={drawing.path}", *tiny(), "stages=[guide]", *twice).code == 0
    drawn = drawing.path / "guides/painted"
    narrow, wide = (cv2.imread(str(next((drawn / name).rglob("0001.png")))) for name in ("gauss", "wide"))
    assert narrow.any()
    assert wide.any()
    assert not np.array_equal(narrow, wide)


@pytest.mark.slow
def test_a_style_is_trained_alone_with_guides_that_follow_the_masks(disc_clip, run, refused, tiny):
    drawing = disc_clip(count=4, masks=(1, 4), keyframes=(2,))
    alone = (f"clip={drawing.path}", "model=style", "guides=[gauss]")
    refused("train.py", *alone, *tiny("style"), words=("masks/ensemble", "stages=[mask]"))
    assert run("dreaming", f"clip={drawing.path}", *tiny(), "stages=[mask]", "masker=threshold").code == 0
    assert run("train.py", *alone, "guide.gauss.masks.masker=threshold", *tiny("style")).code == 0
    assert (drawing.path / "runs/style/best-painted.json").exists()
