"""``--help`` and ``--cfg job``: quick, short, and safe to pipe into ``head``."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from rich import get_console

from dreaming.cli.config import config_root

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = {"dreaming": "dreaming.cli.dream", "train.py": "dreaming.cli.train"}
HEAVY = {"torch", "pytorch_lightning", "wandb", "optuna", "sklearn", "scipy", "matplotlib"}


@pytest.mark.parametrize("name", PROGRAMS)
def test_help_imports_nothing_heavy(name):
    code = (
        f"import sys; sys.argv = [{name!r}, '--help']\n"
        f"from {PROGRAMS[name]} import main\n"
        "try: main()\nexcept SystemExit as end: code = end.code\n"
        f"print(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)\nsys.exit(code)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.strip().splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", PROGRAMS)
def test_help_lists_every_group_below_a_few_lines(run, name):
    lines = run(name, "--help").out.strip().splitlines()
    first = next(index for index, line in enumerate(lines) if line.startswith("data:"))
    assert first <= 10
    assert sum("clip=" in line for line in lines[:first]) >= 2, "the common commands"
    program = PROGRAMS[name].rpartition(".")[2]
    defaults = yaml.safe_load((config_root() / "conf" / f"{program}.yaml").read_text())["defaults"]
    groups = {key for entry in defaults if isinstance(entry, dict) for key in entry if " " not in key}
    for group in groups - {"experiments"}:
        assert sum(line.startswith(f"{group}: ") for line in lines) == 1, group
    assert not any(line.startswith("conf/") for line in lines)


@pytest.mark.slow
def test_the_config_of_a_run_has_the_values_of_clip_yaml(run, disc_clip):
    drawing = disc_clip(count=2, masks=(), keyframes=())
    (drawing.path / "clip.yaml").write_text("{gamma: 2.5, every: 2}")
    arguments = ("--cfg", "job", f"clip={drawing.path}", "stage.extract.every=3")
    shown = yaml.safe_load(run("dreaming", *arguments).out)
    assert (shown["stage"]["extract"]["gamma"], shown["stage"]["extract"]["every"]) == (2.5, 3)
    assert shown["masker"]["flow"]["flow"] == "${data.flow}"
    part = run("dreaming", *arguments, "--package", "stage.extract", "--resolve").out
    assert part.startswith("# @package stage.extract\n")
    assert yaml.safe_load(part)["gamma"] == 2.5
    assert run("dreaming", "--cfg=job", "-p", "seed").out == "0\n"
    assert run("dreaming", "--cfg", "job", "-p", "nosuch").code == 2
    assert run("dreaming", "--cfg", "hydra", "-p", "hydra.job.name").out == "dream\n"


def test_a_reader_that_stops_early_causes_no_traceback():
    command = [sys.executable, "-m", "dreaming", "--cfg", "job"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        process.stdout.close()  # as head does, but before anything is written
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.slow
def test_a_reader_that_stops_during_the_work_ends_it(run, disc_clip, monkeypatch):
    drawing = disc_clip(count=2, masks=(), keyframes=())
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", closed)
        patch.setattr(get_console(), "quiet", False)  # Rich sets it when its reader is gone
        ran = run("dreaming", f"clip={drawing.path}", "stages=[flow]")
    assert (ran.code, ran.err) == (141, "")
    assert (drawing.path / "frames" / "0002.png").exists()
