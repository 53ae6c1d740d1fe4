"""Two processes do what one does: training within rounding, masks and styled frames to the byte."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import pytorch_lightning as pl
import tiny
import torch
from torch import nn

from dreaming.errors import ConfigError, SpaceError
from dreaming.training.context import TrainingContext
from dreaming.training.distributed import check_normalisation, check_strategy
from dreaming.training.inference import prepare_inference, share_out
from dreaming.training.quiet import quiet_lightning
from dreaming.training.run_registry import read_best

ROOT = Path(__file__).resolve().parents[2]
TWO = (
    "trainer=ddp",
    "trainer.accelerator=cpu",
    "trainer.devices=2",
    "trainer.precision=32-true",
    "trainer.sync_batchnorm=false",
    "trainer.benchmark=null",
)
FOLDERS = ("masks/unet", "styled/painted")


def context(**arguments):
    """A bench of two processes on the CPU, unless said otherwise."""
    return TrainingContext(
        partial(pl.Trainer, **{"accelerator": "cpu", "devices": 2, "strategy": "ddp_spawn"} | arguments)
    )


def trainer_of(**arguments):
    with quiet_lightning():
        return context(**arguments).trainer(logger=False, enable_checkpointing=False)


def note(folder, bench, stems):
    """A work: write by which process, and on which of the devices, each frame is made."""
    prepare_inference(pl.LightningModule(), bench)
    rank = bench.trainer(logger=False, enable_checkpointing=False).strategy.local_rank
    for stem in stems:
        (folder / stem).write_text(f"{os.getpid()} {rank} {torch.get_num_threads()}")


def refuse_the_last(stems):
    """A work that one of the processes cannot do."""
    if stems[-1] == "e":
        raise SpaceError("e.png", found="no space", expected="room", hint="free some")


# -- what is refused


def test_a_strategy_that_starts_the_command_again_is_refused():
    with pytest.raises(ConfigError, match=r"trainer\.strategy: .*expected ddp_spawn"):
        share_out(context(strategy="ddp"), ["a"], print)


def test_one_device_may_have_any_strategy():
    check_strategy(trainer_of(devices=1, strategy="ddp"))
    check_strategy(trainer_of())


def test_statistics_shared_on_the_cpu_are_refused_where_there_are_any():
    trainer = trainer_of(sync_batchnorm=True)
    check_normalisation(trainer, nn.Sequential(nn.GroupNorm(2, 4)))
    check_normalisation(trainer_of(sync_batchnorm=False), nn.BatchNorm2d(4))
    with pytest.raises(ConfigError, match=r"trainer\.sync_batchnorm=false"):
        check_normalisation(trainer, nn.Sequential(nn.BatchNorm2d(4)))


# -- shares


def test_one_device_does_it_all_in_this_process(tmp_path):
    share_out(context(devices=1, strategy="auto"), list("abc"), partial(note, tmp_path, context()))
    assert {path.read_text().split()[0] for path in tmp_path.iterdir()} == {str(os.getpid())}
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.slow
def test_each_device_does_a_stretch_in_a_process_of_its_own(tmp_path):
    share_out(context(), list("abcde"), partial(note, tmp_path, context()))
    process, rank, threads = zip(*(path.read_text().split() for path in sorted(tmp_path.iterdir())), strict=True)
    assert rank == ("0", "0", "1", "1", "1")
    assert len(set(process)) == 2
    assert str(os.getpid()) not in process
    assert set(threads) == {"1"}


@pytest.mark.slow
def test_what_a_process_refuses_is_one_sentence():
    with pytest.raises(SpaceError, match=r"e\.png: found no space, expected room; free some"):
        share_out(context(), list("abcde"), refuse_the_last)


# -- the program


def made(clip):
    """Bytes of all masks and styled frames."""
    paths = [path for folder in FOLDERS for path in (clip / folder).glob("*.png")]
    return {str(path.relative_to(clip)): path.read_bytes() for path in paths}


def pictures(clip, folder):
    return {path.name: cv2.imread(str(path)).astype(int) for path in (clip / folder).glob("*.png")}


@pytest.mark.slow
def test_two_processes_train_and_predict_as_one(disc_clip):
    weights, clips = {}, {}
    for name, trainer in {"one": ("trainer=cpu",), "two": TWO}.items():
        clip = disc_clip(name, masks=(1, 8)).path
        small = (
            "threads=1", "logger=csv", "data.segmentation.crop=32", "model.unet.limits.max_steps=6",
            "model.unet.validate_every=3", "model.unet.module.network.width=2", "model.unet.module.network.depth=2",
            # Statistics of a whole batch can be had on GPUs only.
            "model.unet.module.network.norm=group",
            # The other loss is no mean over samples, so that halves of a batch have another one than the whole.
            "model.unet.module.loss_weights={bce:1.0}",
            "data.keyframes.batch_size=4", "data.keyframes.patch=16", "generator.network.width=4",
            "generator.network.pixel_steps=2", "model.style.limits.max_steps=4", "model.style.validate_every=2",
        )  # fmt: skip
        command = [sys.executable, "-m", "dreaming", f"clip={clip}", "stages=[mask,stylise]", "masker=unet"]
        subprocess.run([*command, *trainer, *small], cwd=ROOT, check=True, timeout=500)
        best = read_best(clip / "runs" / "unet" / "best.json")
        weights[name] = torch.load(best.weights, weights_only=True)["state_dict"]
        clips[name] = clip
    for key, value in weights["one"].items():
        # Adam makes much of what rounding leaves; of another batch it would make steps of the learning rate, 0.004.
        np.testing.assert_allclose(weights["two"][key], value, rtol=0, atol=2e-3, err_msg=key)
    for folder in FOLDERS:
        one, two = (pictures(clips[name], folder) for name in ("one", "two"))
        assert two.keys() == one.keys()
        assert len(two) == 8
        for name, picture in one.items():
            np.testing.assert_allclose(two[name], picture, atol=3, err_msg=name)


@pytest.mark.slow
def test_killed_among_its_processes_it_ends_with_the_bytes_of_one_process(disc_clip, kill_when):
    clip = disc_clip(count=300, masks=(1, 150, 300)).path
    command = [sys.executable, "-m", "dreaming", f"clip={clip}", "stages=[mask]", "masker=unet"]
    command += [key for key in tiny.overrides(4, 2) if not key.startswith("trainer")]
    subprocess.run([*command, "trainer=cpu"], cwd=ROOT, check=True, timeout=300)
    whole = made(clip)
    assert len(whole) == 300
    for path in (clip / FOLDERS[0]).iterdir():
        path.unlink()
    with subprocess.Popen([*command, *TWO], cwd=ROOT) as child:
        kill_when(child, (clip / FOLDERS[0] / "0001.png").exists)
    left = made(clip)
    assert 0 < len(left) < 300
    assert left.items() <= whole.items(), "what is there is whole"
    subprocess.run([*command, *TWO], cwd=ROOT, check=True, timeout=300)
    assert made(clip) == whole
    assert not list(clip.glob("*/*/.*.part"))
