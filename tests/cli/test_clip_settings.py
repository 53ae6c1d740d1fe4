"""Overrides in ``clip.yaml``: which are accepted, what overrides them, and that a run reports them."""

from pathlib import Path

import pytest
import yaml

from dreaming.cli.clip_settings import used_settings, with_settings
from dreaming.cli.config import parse
from dreaming.clip.clip import Clip
from dreaming.errors import ClipError, ConfigError


@pytest.fixture
def clip(tmp_path):
    """Write a clip.yaml with these settings, or this text; return the clip's override."""

    def write(settings, name="clip"):
        (tmp_path / name).mkdir(exist_ok=True)
        text = settings if isinstance(settings, str) else yaml.safe_dump({"settings": settings})
        (tmp_path / name / "clip.yaml").write_text(text)
        return f"clip={tmp_path / name}"

    return write


def values(program, arguments):
    return {str(each.key_or_group): each.value() for each in parse(with_settings(program, arguments))}


def test_settings_come_before_the_command_line_and_are_overridden_by_it(clip):
    settings = {"generator.lr": 0.5, "masker": ["flow", "gmm"], "stages": ["mask"], "model.unet.warmup": None}
    named = clip({**settings, "seed": 3})
    arguments = [named, "seed=4", "trainer=null"]  # refused later
    assert values("dream", arguments) == {**settings, "clip": named[5:], "seed": 4, "trainer": None}
    used = used_settings(Clip(Path(named[5:])), with_settings("dream", arguments))
    assert {text.partition("=")[0] for text in used} == set(settings)


def test_a_training_gets_the_keys_that_it_has(clip):
    named = clip({"masker": "gmm", "stage.composite.feather": 1.0, "data.flow.scale": 0.25, "model.cnn.warmup": 64})
    assert set(values("train", [named])) == {"clip", "data.flow.scale"}


def test_a_sweep_searches_its_keys_anyway(clip):
    named = clip({"model.unet.module.lr": 0.5, "data.flow.scale": 0.25})
    assert set(values("train", ["-m", named, "sweep=unet"])) == {"clip", "sweep", "data.flow.scale"}


def test_several_clips_have_no_settings(clip):
    named = clip({"seed": 1}, "A")
    clip("gamma: 2", "B")
    with pytest.raises(ConfigError) as refused:
        with_settings("dream", ["-m", f"{named},{named[5:-1]}B"])
    assert refused.value.where == "clip"


@pytest.mark.parametrize(
    "settings",
    [
        {"generator.lrr": 1},
        {"generator": {"lr": 1}},
        {"generator.lr": {"_target_": "os.system"}},
        {"generator._target_": "os.system"},
        {"model.unet.module.optimizer._target_": "os.system"},
        {"stages": "${oc.env:HOME}"},
        {"stages": ["${oc.env:HOME}"]},
        {"seed": "???"},
        {"+masker": "gmm"},
        {"~masker": None},
        {"masker@model.unet.extra_inputs.x": "gmm"},
        {"hydra.run.dir": "elsewhere"},
        {"hydra/launcher": "joblib"},
        {"trusted_packages": ["os"]},
        {"clip": "elsewhere"},
        {"video": "/etc/passwd"},
        {"sweep.storage": "sqlite:///x"},
        {"logger.wandb.entity": "else"},
        {"seed": 1, 2: 3},
        "settings: [1]",
        "settings: text",
    ],
    ids=str,
)
def test_what_a_clip_may_not_set_is_refused(clip, settings):
    with pytest.raises(ClipError) as refused:
        with_settings("dream", [clip(settings)])
    assert refused.value.where.endswith("clip.yaml")


def test_a_run_uses_and_reports_them(clip, disc_clip, run):
    drawing = disc_clip(count=2, masks=(), keyframes=())
    clip({"stages": ["extract"], "logger": "csv", "threads": 1, "stage.composite.feather": 3.0}, drawing.path.name)
    ran = run("dreaming", f"clip={drawing.path}")
    assert ran.code == 0, ran.err
    (kept,) = drawing.path.glob("runs/dream/*/.hydra/config.yaml")
    assert yaml.safe_load(kept.read_text())["stage"]["composite"]["feather"] == 3.0
    (log,) = drawing.path.glob("runs/dream/*/dream.log")
    assert "stage.composite.feather=3.0" in log.read_text()
