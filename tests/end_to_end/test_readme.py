"""What README shows is what works: its new masker, put where it says, passes its test and masks a clip."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^`([\w/]+\.\w+)`\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def checkout(tmp_path):
    """A copy of what a developer has, with the files that README shows."""
    path = tmp_path / "checkout"
    for name in ("dreaming", "conf", "experiments"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (path / "tests" / "maskers").mkdir(parents=True)
    for name in ("train.py", "pyproject.toml", "tests/conftest.py"):
        shutil.copy(ROOT / name, path / name)
    for name, text in BLOCK.findall((ROOT / "README.md").read_text()):
        assert not (path / name).exists(), "an example must not stand in for a file that is there"
        (path / name).write_text(text)
    return path


def python(checkout, *arguments):
    environment = {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1", "PATH": "", "HOME": str(checkout)}
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_example_is_short():
    blocks = dict(BLOCK.findall((ROOT / "README.md").read_text()))
    assert set(blocks) == {"dreaming/maskers/red.py", "conf/masker/red.yaml", "tests/maskers/test_red.py"}
    assert len(blocks["dreaming/maskers/red.py"].splitlines()) < 30


@pytest.mark.slow
def test_the_example_passes_its_test_and_masks_a_clip(checkout, disc_clip):
    python(checkout, "pytest", "-q", "tests/maskers/test_red.py")
    drawing = disc_clip(masks=(1, 8))
    python(checkout, "dreaming", f"clip={drawing.path}", "stages=[mask]", "masker=red", "threads=1", "logger=csv")
    assert drawing.clip.masks("subject", "red").stems == drawing.stems
