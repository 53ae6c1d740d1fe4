"""The GPU benchmark runs, reduced, where only its few packages can be imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ABSENT = ("hydra-core", "hydra", "omegaconf", "wandb", "optuna", "rich", "av", "pydantic", "sqlalchemy", "jinja2")
LAUNCH = f"""
import importlib.metadata, runpy, sys
distribution = importlib.metadata.distribution
def installed(name):
    if name.lower() in {ABSENT!r}:  # Lightning asks for the distribution before it imports a package
        raise importlib.metadata.PackageNotFoundError(name)
    return distribution(name)
importlib.metadata.distribution = installed
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {ABSENT!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
sys.argv = ["gpu.py", *sys.argv[1:]]
runpy.run_path("benchmarks/gpu.py", run_name="__main__")
"""


@pytest.mark.slow
def test_it_needs_few_packages_and_measures_every_section(tmp_path):
    table = tmp_path / "gpu.md"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'benchmarks'}", "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run(
        [sys.executable, "-c", LAUNCH, "--reduced", "--out", str(table)],
        check=True,
        cwd=ROOT,
        env=environment,
        timeout=600,
    )
    rows = [line.strip("| ").split(" | ") for line in table.read_text().splitlines() if line.startswith("| ")][2:]
    assert {row[0] for row in rows} == {"training", "quality", "inference", "segmentation", "profile"}
    assert not [row for row in rows if row[2] == "failed"]
    assert all(float(row[2]) > 0 for row in rows if row[2] != "nan")
