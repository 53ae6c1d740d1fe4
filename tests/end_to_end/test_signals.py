"""Signals sent to ``dreaming`` while its stages work."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny import MACHINE

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 120
STAGES = {"extract": "frames", "mask": "masks/gmm", "filter": "filtered"}


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
