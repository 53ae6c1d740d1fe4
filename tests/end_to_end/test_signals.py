"""Signals sent to ``dreaming`` while its stages work."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny import DATA, MACHINE, NETWORKS

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 120
STAGES = {"extract": "frames", "mask": "masks/gmm", "filter": "filtered"}

ENDLESS = (*DATA[:2], *NETWORKS[2:4], "model.cnn.limits.max_time=120", "model.cnn.validate_every=5")
CPU = MACHINE[2]
JOBLIB = (CPU, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
TWO = (
    "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.precision=32-true",
    "trainer.sync_batchnorm=false", "trainer.benchmark=null",
)  # fmt: skip


def finished(folder):
    """Frames and flow files below a folder, with the time of their last change."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("[!.]*") if path.suffix == ".png"}


@pytest.mark.slow
def test_a_signal_ends_each_stage_and_keeps_its_files(disc_clip, film, tmp_path):
    drawing = disc_clip(count=80, size=(180, 320), masks=(1, 80), keyframes=(), frames=False)
    video = film(tmp_path / "a.mkv", drawing.images.values())
    command = [sys.executable, "-m", "dreaming", f"clip={drawing.path}", f"video={video}", "masker=gmm", *MACHINE]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "WANDB_MODE": "offline"}
    made = {}
    for index, (stage, folder) in enumerate(STAGES.items()):
        number, path = (signal.SIGINT, signal.SIGTERM)[index % 2], drawing.path / folder
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen([*command, f"stages=[{stage}]"], env=environment, **pipes) as process:
            deadline = time.monotonic() + TIMEOUT
            while not finished(path) and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
            process.send_signal(number)
            said = process.communicate(timeout=TIMEOUT)[1]
        assert process.returncode == 128 + number, (stage, said)
        assert said.count("\n") == 1, (stage, said)
        assert not list(drawing.path.rglob("*.part")), stage
        assert 0 < len(finished(path)) < 80, stage
        assert made.items() <= finished(drawing.path).items(), "finished files are kept"
        made = finished(drawing.path)


def is_running(group):
    """Whether a process group has a process that has not ended."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, number = status.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it has ended
            continue
        if int(number) == group and state != "Z":
            return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "number", "whole_group", "pattern"),
    [
        (["-m", "dreaming", "-m", "clip={0},{1}", "masker=cnn", CPU], signal.SIGINT, True, "*/last.ckpt"),
        (["train.py", "-m", "model=cnn", "sweep=cnn", "clip={0}", *JOBLIB], signal.SIGTERM, False, "trial.json"),
        (["train.py", "model=cnn", "clip={0}", *TWO], signal.SIGINT, True, "*/last.ckpt"),
    ],
    ids=["multirun", "joblib", "processes"],
)
def test_a_signal_ends_all_processes_of_a_run(disc_clip, arguments, number, whole_group, pattern):
    clips = [disc_clip(name, masks=(1, 8)).path for name in "ab"]
    command = [sys.executable, *(argument.format(*clips) for argument in arguments), *ENDLESS, *MACHINE[:2]]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "WANDB_MODE": "offline"}
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    with subprocess.Popen(command, cwd=ROOT, env=environment, **pipes) as process:
        deadline = time.monotonic() + TIMEOUT
        while not list(clips[0].rglob(pattern)) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert process.poll() is None, process.stderr.read()
        (os.killpg if whole_group else os.kill)(process.pid, number)
        said = process.communicate(timeout=TIMEOUT)[1]
        deadline = time.monotonic() + TIMEOUT
        while is_running(process.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not is_running(process.pid)
    assert process.returncode == 128 + number, said
    assert "Traceback" not in said
    assert not list(clips[1].rglob("runs")), "the next job does not begin"
    if "trainer.devices=2" in command:
        assert list(clips[0].rglob("rolling.ckpt")), "the children save their training"
