"""How both programs begin and end, whatever they do."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest
from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dreaming import __version__
from dreaming.artifacts.manifest import MANIFEST, Manifest
from dreaming.cli import program
from dreaming.cli.explain import explain, known_keys
from dreaming.errors import ConfigError, MaskError
from dreaming.interruption import Terminated
from dreaming.io.frame_folder import FrameFolder

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("name", "arguments", "shown"),
    [
        ("dreaming", ["--help"], "masker"),
        ("train.py", ["--help"], "model"),
        ("dreaming", ["--cfg", "job"], "clip: ???"),
        ("dreaming", ["--cfg", "job", "clip=x", "masker=cnn"], "dreaming.maskers.network.NetworkMasker"),
        ("train.py", ["--cfg", "job", "model=style"], "StyleTask"),
        ("dreaming", ["--version"], f"dreaming {__version__}"),
        ("train.py", ["--version"], f"dreaming {__version__}"),
        ("dreaming", ["--info", "searchpath"], "conf"),
    ],
)
def test_flags_that_inform_end_well_and_make_nothing(run, tmp_path, monkeypatch, name, arguments, shown):
    monkeypatch.chdir(tmp_path)
    ran = run(name, *arguments)
    assert ran.code == 0
    assert shown in ran.out
    assert not list(tmp_path.iterdir())


@pytest.fixture
def ended(monkeypatch, tmp_path, unchanged_logging):
    """Exit code of a program whose job is ours; the one whose config is smaller."""

    def call(job, *arguments):
        monkeypatch.setattr(sys, "argv", ["train.py", f"clip={tmp_path}", "threads=1", *arguments])
        with unchanged_logging(), pytest.raises(SystemExit) as error:
            program.main("train", job)
        return error.value.code

    return call


def failing(error):
    def job(config: DictConfig):
        raise error

    return job


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (MaskError("a.png", found="b", expected="c", hint="d"), 2, "a.png: found b, expected c; d."),
        (OSError(errno.ENOSPC, "full", "x.ckpt"), 2, "x.ckpt: found no space left on the disk"),
        (OSError(errno.EDQUOT, "full", "x.ckpt"), 2, "x.ckpt: found no space left on the disk"),
        (MisconfigurationException("No GPU\n found."), 2, "trainer: found No GPU found"),
        (KeyboardInterrupt(), 130, "train.py: "),
        (Terminated(), 143, "train.py: "),
    ],
)
def test_how_an_ending_is_told(run, ended, tmp_path, capsys, error, code, sentence):
    assert ended(failing(error)) == code
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert sentence in lines[0]


def test_a_bug_of_ours_keeps_its_traceback(run, ended, tmp_path):
    with pytest.raises(ZeroDivisionError):
        ended(failing(ZeroDivisionError("ours")))


@pytest.mark.slow
def test_in_a_multirun_the_other_jobs_go_on(run, ended, tmp_path, capsys):
    seen = []

    def job(config: DictConfig):
        seen.append(config.seed)
        if config.seed == 1:
            raise MaskError("a.png", found="b", expected="c", hint="d")

    assert ended(job, "-m", "seed=1,2") == 2
    assert seen == [1, 2]
    captured = capsys.readouterr()
    assert captured.err.strip().splitlines()[-1] == "train.py: a.png: found b, expected c; d."
    assert "Traceback" not in captured.err + captured.out
    logs = {path.parent.name: path.read_text() for path in tmp_path.glob("runs/unet/*/*/train.log")}
    assert {name: "ERROR" in text for name, text in logs.items()} == {"0": True, "1": False}
    assert "a.png: found b, expected c; d." in logs["0"]


def test_threads_are_set_and_the_config_is_kept(run, ended, tmp_path):
    import cv2
    import torch

    found = []
    job = lambda config: found.append((torch.get_num_threads(), cv2.getNumThreads()))
    assert ended(job) == 0
    assert ended(job, "threads=2") == 0
    assert found == [(1, 1), (2, 2)]
    assert cv2.utils.logging.getLogLevel() == cv2.utils.logging.LOG_LEVEL_FATAL
    kept = sorted(tmp_path.glob("runs/unet/*/.hydra/config.yaml"))
    assert [OmegaConf.load(path).threads for path in kept] == [1, 2]


def test_what_can_be_explained():
    refusal = ConfigError("a", found="b", expected="c", hint="d")
    wrapped = RuntimeError("outer")
    wrapped.__cause__ = refusal
    assert explain(wrapped, "dream") is refusal
    hidden = OmegaConfBaseException("outer")
    hidden.__context__ = refusal
    assert explain(hidden, "dream") is refusal
    bug = ValueError("outer")
    bug.__context__ = refusal
    assert explain(bug, "dream") is None, "a fault in handling a refusal is a fault of ours"
    assert str(explain(OmegaConfBaseException("odd\nmore"), "dream")).startswith("config: found odd, expected")


def test_keys_are_known_down_to_the_leaves_for_each_program():
    assert {"clip", "stage.composite.feather", "generator.network.width"} <= set(known_keys("dream"))
    of_train = known_keys("train")
    assert {"clip", "ckpt_path", "model.unet.limits.max_steps"} <= set(of_train)
    assert "stage.composite.feather" not in of_train


@pytest.mark.slow
@pytest.mark.parametrize("command", [["-m", "dreaming"], ["-m", "dreaming.cli.train"], [str(ROOT / "train.py")]])
def test_as_processes_from_another_folder(tmp_path, command):
    refused = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert refused.stderr.startswith(f"{'dreaming' if command[-1] == 'dreaming' else 'train.py'}: clip: ")
    assert not list(tmp_path.iterdir())
    assert not refused.stdout


def test_a_clip_is_pruned_without_running_stages(disc_clip, run, refused):
    drawing = disc_clip(count=2, masks=(), keyframes=())
    flow = FrameFolder(drawing.path / "flow")
    Manifest("flow", 1, {}, {}, stems=["0001"]).write(flow.path / MANIFEST)
    path = flow.write("0001", drawing.images["0001"])
    assert run("dreaming", f"clip={drawing.path}", "prune=list").code == 0
    assert path.exists()
    for wrong in (["prune=all"], ["prune=delete", "masker=gmm"], ["-m", "prune=delete"]):
        refused("dreaming", f"clip={drawing.path}", *wrong, words="prune")
    refused("dreaming", f"clip={drawing.path}-", "prune=delete", words="no folder")
    assert path.exists()
    assert run("dreaming", f"clip={drawing.path}", "prune=delete").code == 0
    assert not flow.path.exists()
    assert not (drawing.path / "runs").exists()
