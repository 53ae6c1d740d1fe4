"""Running the programs in this process, as a user would, and what is watched while they run."""

import copy
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from tiny import overrides

from dreaming.cli import dream, program, train
from dreaming.cli.config import config_root, register_resolvers

PROGRAMS = {"dreaming": dream.main, "train.py": train.main}

TINY = overrides(max_steps=2, validate_every=1)


@dataclass
class Ran:
    """How a program ended: its exit code, and what it printed."""

    code: int
    out: str
    err: str


def listing(folder):
    """Every path below a folder, with the time of its last change."""
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.fixture
def tiny():
    """Overrides that make everything small; of ``dreaming``, and for one model of ``train.py``."""

    def choose(model=None):
        if model is None:
            return ["masker=unet", *TINY]
        return [
            text for text in TINY if not text.startswith(("model.", "stage.")) or text.startswith(f"model.{model}.")
        ]

    return choose


@pytest.fixture
def run(monkeypatch, capsys, unchanged_logging):
    """Run a program to its end in this process."""
    threads, cv_threads = torch.get_num_threads(), cv2.getNumThreads()

    def call(program, *arguments):
        monkeypatch.setattr(sys, "argv", [program, *map(str, arguments)])
        GlobalHydra.instance().clear()
        capsys.readouterr()
        with unchanged_logging(), pytest.raises(SystemExit) as ended:
            PROGRAMS[program]()
        captured = capsys.readouterr()
        return Ran(ended.value.code, captured.out, captured.err)

    yield call
    torch.set_num_threads(threads)
    cv2.setNumThreads(cv_threads)
    GlobalHydra.instance().clear()
    os.environ.pop("HYDRA_FULL_ERROR", None)


@pytest.fixture
def in_job(run, monkeypatch, tmp_path, unchanged_logging):
    """Call a function with the config of a run of ``dreaming``, as often as needed for the cost of one start."""

    def call(job, *arguments, clip=tmp_path):
        (Path(clip) / "frames").mkdir(parents=True, exist_ok=True)
        monkeypatch.setattr(sys, "argv", ["dreaming", f"clip={clip}", *arguments])
        with unchanged_logging(), pytest.raises(SystemExit) as ended:
            program.main("dream", lambda config: job(copy.deepcopy(config)))
        assert ended.value.code == 0

    return call


@pytest.fixture(scope="session")
def _composed():
    register_resolvers()
    with initialize_config_dir(str(config_root() / "conf")):
        return {name: compose(name) for name in ("dream", "train")}


@pytest.fixture
def composed(_composed):
    """The default config of ``dream`` or ``train`` for a clip, composed once for all tests."""

    def copied(name, clip):
        config = copy.deepcopy(_composed[name])
        config.clip = str(clip)
        return config

    return copied


@pytest.fixture
def refused(run):
    """Run a program that has to refuse with one sentence that has the given words in it; return the sentence."""

    def call(program, *arguments, words=()):
        ran = run(program, *arguments)
        assert ran.code == 2, (ran.code, ran.err)
        lines = ran.err.strip().splitlines()
        assert len(lines) == 1, ran.err
        assert lines[0].startswith(f"{program}: ")
        assert lines[0].endswith(".")
        assert "Traceback" not in ran.err + ran.out
        for word in [words] if isinstance(words, str) else words:
            assert word in lines[0], lines[0]
        return lines[0]

    return call


@pytest.fixture
def refused_untouched(refused, tmp_path):
    """The same, and nothing may have been made or changed on disk."""

    def call(program, *arguments, words=()):
        before = listing(tmp_path)
        sentence = refused(program, *arguments, words=words)
        assert listing(tmp_path) == before
        return sentence

    return call
