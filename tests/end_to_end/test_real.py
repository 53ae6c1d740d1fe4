"""A real sequence in the explicit layout, with budgets too small to learn much."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TINY = (
    "logger=csv",
    "threads=1",
    "data.segmentation.short_side=90",
    "data.segmentation.crop=64",
    "model.cnn.limits.max_steps=6",
    "model.cnn.validate_every=3",
    "model.cnn.module.network.intermediate_channels=4",
)


def ended(*command):
    ran = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr + ran.stdout


@pytest.mark.slow
def test_masks_and_a_training_on_a_real_clip(shared, tmp_path):
    clip = tmp_path / "blackswan"
    ended(shared / "make_clip.py", "blackswan", clip, "--split")
    ended(ROOT / "train.py", "model=cnn", f"clip={clip}", *TINY)
    best = json.loads((clip / "runs" / "cnn" / "best.json").read_text())
    assert best["validation"] == "explicit"
    assert 0 <= best["score"] <= 1
    ended("-m", "dreaming", f"clip={clip}", "stages=[mask]", "masker=cnn", *TINY)
    frames = {path.stem for path in (clip / "frames").iterdir() if path.suffix in (".jpg", ".png")}
    assert {path.stem for path in (clip / "masks" / "cnn").glob("*.png")} == frames
    assert len(list(clip.glob("runs/cnn/*/result.json"))) == 1, "the training before is used"
