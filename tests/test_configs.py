"""Every file of conf/ and experiments/: it composes, is built as the programs build it, and works on a tiny clip."""

import copy
import math
import re
from dataclasses import replace
from functools import cache, partial, reduce
from pathlib import Path

import numpy as np
import optuna
import pytest
import pytorch_lightning as pl
import tiny
import torch
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from onnx_model import onnx_model

from dreaming.artifacts.shard import Shard
from dreaming.cli.config import config_root, register_resolvers
from dreaming.cli.search import check_search
from dreaming.clip.config import Layer
from dreaming.errors import DivergenceError
from dreaming.guides.base import Guide
from dreaming.instantiation.build import SETTINGS, build, validate
from dreaming.instantiation.trust import find_target
from dreaming.instantiation.validation import find_problem, parameters_of
from dreaming.maskers.base import Masker
from dreaming.stages.base import Stage
from dreaming.stages.order import ORDER
from dreaming.sweep.config import SweepConfig
from dreaming.training.context import FitLimits, TrainingContext
from dreaming.training.task import TrainingTask

CONF = Path(__file__).resolve().parents[1] / "conf"
FILES = sorted(CONF.rglob("*.yaml"))
EXPERIMENTS = sorted((CONF.parent / "experiments").glob("*.yaml"))

SMALL = (
    *tiny.DATA,
    *tiny.NETWORKS,
    "model.ensemble.variant=gated",
    "model.ensemble.maskers.pixels=null",
    "model.ensemble.data.crop=16",
    "model.ensemble.variants.gated.max_steps=2",
)


def choices(group):
    return [path.stem for path in FILES if path.parent == CONF / group]


def but_slow(names, *slow):
    """Parameters of a test, some of which take several seconds."""
    return [pytest.param(name, marks=[pytest.mark.slow] * (name in slow)) for name in names]


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def compose_once(program, *overrides):
    register_resolvers()
    with initialize_config_dir(str(config_root() / "conf")):
        return compose(program, overrides=["clip=x", *overrides])


@pytest.fixture
def composed(tmp_path):
    """The config of a program, its clip a folder that need not exist."""

    def make(program, *overrides):
        config = copy.deepcopy(compose_once(program, *overrides))
        config.clip = str(tmp_path / "clip")
        return config

    return make


def small(composed, *overrides):
    config = composed("dream", "trainer=cpu", "logger=csv", "model=[unet,cnn,style,ensemble]", *SMALL, *overrides)
    for model in config.model.values():
        model.limits.max_steps = 2
        if "validate_every" in model:
            model.validate_every = 1
    return config


def test_every_group_is_one_that_a_program_selects_from(composed):
    selected = set(OmegaConf.to_container(composed("train"), resolve=False)) | set(composed("dream"))
    selected |= {"sweep"}  # nothing of it by default
    groups = {path.relative_to(CONF).parts[0] for path in FILES if path.parent != CONF}
    assert groups - {"hydra"} <= selected


@pytest.mark.parametrize("name", but_slow(choices("model"), "ensemble"))
def test_every_model_fits_two_steps(composed, disc_clip, name):
    config = small(composed)
    assert set(composed("train", f"model={name}").model) == {name}
    task = build(config, f"model.{name}")
    assert isinstance(task, TrainingTask)
    assert task.name == name
    assert isinstance(task.limits, FitLimits)
    context = TrainingContext(build(config, "trainer"), build(config, "logger"), config.seed)
    clip = disc_clip(masks=(1, 8)).clip
    (subject,) = task.subjects(clip)
    best = task.train(clip, subject, context, clip.runs(name) / "once")
    assert 1 <= best.steps <= 2
    assert best.weights.exists()
    assert best.monitor == task.monitor


@pytest.mark.parametrize("name", choices("model"))
def test_steps_end_a_fit_also_on_a_busy_machine(composed, name):
    limits = composed("train", f"model={name}").model[name].limits
    assert limits.max_time >= max(3600, 4 * limits.max_steps)


@pytest.mark.parametrize("name", but_slow(choices("model"), "ensemble"))
def test_every_model_stops_when_it_diverges(composed, disc_clip, name):
    config = small(composed, "model.ensemble.maskers={flow:${masker.flow}}", "masker=flow")
    task = build(config, f"model.{name}")
    if name == "ensemble":
        gated = replace(task.variants["gated"], lr=math.inf)
        task = replace(task, variants={**task.variants, "gated": gated})
    else:
        task = replace(task, module=partial(task.module.func, **{**task.module.keywords, "lr": math.inf}))
    clip = disc_clip(masks=(1, 8)).clip
    (subject,) = task.subjects(clip)
    with pytest.raises(DivergenceError) as stopped:
        task.train(clip, subject, TrainingContext(build(config, "trainer"), {}, config.seed), clip.runs(name) / "once")
    assert OmegaConf.select(config, stopped.value.where) is not None, "a key of the config"


@pytest.mark.parametrize("name", choices("generator"))
def test_every_generator_paints_guided_frames(composed, name):
    module = build(composed("dream", f"generator={name}"), "model.style.module")(channels=9, painted=(3,))
    assert module.stylise(torch.zeros(1, 9, 13, 18)).shape == (1, 3, 13, 18)


@pytest.mark.parametrize("name", but_slow(sorted({*choices("masker")} - {"sam2"}), "ensemble", "pixels", "gmm", "unet"))
def test_every_masker_writes_masks(composed, disc_clip, tmp_path, name):
    config = small(composed, f"masker={name}")
    if name == "onnx":
        (tmp_path / "colour.onnx").write_bytes(onnx_model())
        (tmp_path / "colour.yaml").write_text("size: [16, 24]\noutput: 1")
        config.masker.onnx.file = str(tmp_path / "colour.onnx")
    masker = build(config, f"masker.{name}")
    assert isinstance(masker, Masker)
    clip = disc_clip(masks=(1, 8)).clip
    masker.fit(clip, clip.references("subject", ["0001", "0008"]))
    made = dict(masker.predict(clip, clip.stems))
    assert list(made) == clip.stems
    for probability in made.values():
        assert probability.shape == clip.size
        assert probability.min() >= 0
        assert probability.max() <= 1


@pytest.mark.parametrize("name", choices("guide"))
def test_every_guide_is_drawn(composed, disc_clip, name):
    guide = build(composed("dream"), f"guide.{name}")
    assert isinstance(guide, Guide)
    clip = disc_clip().clip
    for stem, channels in guide.draw(clip, Layer("painted"), clip.stems[:2]):
        assert channels.shape == (*clip.size, guide.channels), stem
        assert channels.dtype == np.uint8


@pytest.mark.parametrize("name", choices("stage"))
def test_every_stage_is_built_under_its_name(composed, name):
    stage = build(composed("dream"), f"stage.{name}", shard=Shard(), writers=1)
    assert isinstance(stage, Stage)
    assert stage.name == name
    assert name in ORDER


def test_evaluate_has_the_folds_of_the_ensemble(composed):
    assert composed("dream", "model.ensemble.folds=3").stage.evaluate.folds == 3


@pytest.mark.parametrize("name", choices("trainer"))
def test_every_trainer_is_composed_and_built_where_the_machine_has_it(composed, tmp_path, name):
    for program in ("train", "dream"):
        assert "_target_" in composed(program, f"trainer={name}").trainer
    if name in ("cpu", "auto", "debug"):
        maker = build(composed("train", f"trainer={name}"), "trainer")
        assert isinstance(maker(logger=False, default_root_dir=tmp_path), pl.Trainer)


@pytest.mark.parametrize("name", choices("logger"))
def test_every_logger_logs(composed, tmp_path, monkeypatch, name):
    if name == "tensorboard":
        pytest.importorskip("tensorboard")
    monkeypatch.setenv("WANDB_MODE", "offline")
    makers = build(composed("train", f"logger={name}"), "logger")
    assert "csv" in makers, "metrics are always at hand"
    for kind, maker in makers.items():
        logger = maker(save_dir=str(tmp_path / kind))
        logger.log_metrics({"val/x": 0.5}, step=1)
        logger.save()
        logger.finalize("success")
        assert any((tmp_path / kind).rglob("*.csv" if kind == "csv" else "*.wandb")), kind


SWEEPS = [name for name in choices("sweep") if name not in ("base", "masker")]


@pytest.mark.parametrize("name", but_slow(SWEEPS, *(set(SWEEPS) - {"cnn", "threshold"})))
def test_every_sweep_searches_what_there_is(composed, name):
    program = "train" if name in choices("model") else "dream"
    with initialize_config_dir(str(config_root() / "conf")):
        overrides = ["clip=x", f"sweep={name}", "hydra.mode=MULTIRUN"]
        config = compose(program, overrides=overrides, return_hydra_config=True)
    check_search(config, program)
    assert config.sweep.component in config["model" if program == "train" else "masker"]
    assert config.hydra.sweeper.study_name == config.sweep.name == name
    assert isinstance(build(config, "sweep"), SweepConfig)
    if program == "dream":
        assert config.stage.evaluate.tests is False, "nothing is chosen by a test mask"
        assert config.stage.evaluate.masker == name, "whatever else is selected"


@pytest.mark.parametrize("name", [path.stem for path in FILES if path.parent == CONF / "sweep" / "pruner"])
def test_every_pruner_is_built(composed, name):
    plan = build(composed("train", "sweep=unet", f"sweep/pruner={name}"), "sweep")
    assert isinstance(plan.pruner, optuna.pruners.BasePruner)


@pytest.mark.parametrize("name", choices("data"))
def test_every_data_node_is_built(composed, name):
    made = build(composed("dream"), f"data.{name}")
    assert not isinstance(made, partial) or issubclass(made.func, pl.LightningDataModule)


@pytest.mark.parametrize("path", EXPERIMENTS, ids=[path.stem for path in EXPERIMENTS])
def test_every_experiment_composes_and_says_what_it_is_for(composed, path):
    reports = path.with_suffix(".md").read_text()
    assert "**Question.**" in reports
    programs = [program for program in ("dream", "train") if _composes(composed, program, path.stem)]
    assert programs, "it belongs to no program"


def _composes(composed, program, name):
    try:
        config = composed(program, f"experiments={name}")
    except Exception:
        return False
    validate(config)
    return True


@pytest.mark.parametrize("program", ["dream", "train"])
def test_values_in_the_files_are_such_as_their_classes_take(composed, program):
    for model in choices("model") if program == "train" else ["[unet,cnn,style,ensemble]"]:
        validate(composed(program, f"model={model}"))
    for trainer in choices("trainer"):
        validate(composed(program, f"trainer={trainer}"))


def numbers(value, path=()):
    """The path of each number of a plain config."""
    if isinstance(value, dict | list):
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from numbers(item, (*path, name))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path


def joined(path):
    return "".join(f"[{name}]" if isinstance(name, int) else f".{name}" for name in path)[1:]


def at(tree, path):
    return reduce(lambda node, name: node[name], path, tree)


MAY_BE_NEGATIVE = {"guide.canvas.min_correlation", "trainer.devices"}
CHECKED_BY_TORCH = {"model.style.module.optimizer.betas[0]", "model.style.module.optimizer.betas[1]"}


@pytest.mark.parametrize("program", ["dream", "train"])
def test_impossible_numbers_are_refused_by_their_key(composed, program):
    every = [f"{group}=[{','.join(choices(group))}]" for group in ("masker", "guide")]
    names = every if program == "dream" else ["model=[unet,cnn,style]", every[1], "generator=fspbt", "trainer=gpu"]
    raw = OmegaConf.to_container(composed(program, *names))
    paths, wrong = list(numbers(raw)), []
    assert len(paths) > 100
    for path in paths:
        nodes = [count for count in range(1, len(path)) if "_target_" in at(raw, path[:count])]
        if not nodes and path[0] not in SETTINGS:
            continue  # checked by the class that refers to it
        key, node = joined(path), at(raw, path[: nodes[-1]]) if nodes else raw
        nodes = nodes or [0]
        name = path[nodes[-1]]
        hint = parameters_of(find_target(node["_target_"])).hints[name] if node is not raw else SETTINGS[name]
        for value in (-1, 0, math.nan, math.inf, 1e30, "text"):
            changed = {name: copy.deepcopy(node[name])}
            at(changed, path[nodes[-1] : -1])[path[-1]] = value
            problem = find_problem(changed[name], hint)
            if problem and joined((*path[: nodes[-1]], name)) + problem.below != key:
                wrong.append((key, value, problem))
            fits = value == 0 or (value in (-1, 1e30) and key in CHECKED_BY_TORCH)
            fits |= value == -1 and key in MAY_BE_NEGATIVE
            fits |= value == "text" and key == "trainer.devices"
            if not problem and not fits:
                wrong.append((key, value, "accepted"))
    assert not wrong


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(CONF)) for path in FILES])
def test_the_files_are_plain_and_null_is_explained(path):
    text = path.read_text()
    assert yaml.safe_load(text) is not None
    assert "TODO" not in text
    assert not re.search(r"[ \t]+$", text, re.MULTILINE)
    if "hydra" in path.parts:
        return
    lines = text.splitlines()
    for number, line in enumerate(lines):
        # What a missing value stands for cannot be guessed; `experiments: null` is Hydra's way to say "any".
        if re.search(r": null\b", line) and "experiments" not in line and "gradient_clip_val" not in line:
            assert "#" in line or lines[number - 1].lstrip().startswith("#"), line
