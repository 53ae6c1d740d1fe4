"""Sweeps from the command line: searched, pruned, continued, and what was found is used."""

import copy
import importlib.util
import json
import shlex
import sys

import optuna
import pytest
import yaml
from omegaconf import OmegaConf
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState
from tiny import MACHINE

from dreaming.cli.program import main
from dreaming.instantiation.build import build
from dreaming.sweep.config import SweepConfig
from dreaming.sweep.finalise import SweepResult, to_best_trial
from dreaming.training import loggers
from dreaming.training.run_registry import read_best

TINY_SPACES = {
    # With crops of 32 pixels deep networks without padding have nothing left.
    "unet": ["+hydra.sweeper.params={model.unet.module.network.padding:'choice(zero,reflection)'}"],
    "cnn": ["+hydra.sweeper.params={model.cnn.module.network.kernel_size:'choice(3,5)'}"],
    "ensemble": [
        "tasks.unet.limits.max_steps=2",
        "tasks.unet.validate_every=1",
        "model.ensemble.maskers.pixels.boosting.max_iter=2",
        "model.ensemble.maskers.pixels.samples=200",
        *(f"model.ensemble.variants.{form}.max_steps=2" for form in ("gated", "logistic", "conv", "unet_fusion")),
        "+hydra.sweeper.params={model.ensemble.variant:'choice(gated,unet_fusion)'}",
    ],
}


def study_of(clip, name):
    return optuna.load_study(study_name=name, storage=f"sqlite:///{clip}/sweeps/{name}/study.db")


@pytest.fixture
def sweep(run, tiny):
    """Sweep on a clip; two trials, in this process, unless said otherwise."""

    def call(clip, name, *overrides, program="train.py", trials=2):
        model = name if program == "train.py" else None
        arguments = ["-m", f"sweep={name}", f"clip={clip}", f"hydra.sweeper.n_trials={trials}"]
        # A sweep selects its own masker.
        small = [text for text in tiny(model) if ".module.network." not in text and "masker=" not in text]
        return run(program, *arguments, *small, *overrides)

    return call


@pytest.mark.slow
def test_a_sweep_leaves_its_study_its_best_trial_and_pictures_and_goes_on(disc_clip, sweep, run):
    clip = disc_clip(masks=(1, 8)).path
    small = (
        "model.cnn.module.network.num_layers=2",
        "model.cnn.module.network.intermediate_channels=2",
        "sweep/pruner=none",
    )
    ran = sweep(clip, "cnn", *small, "model.cnn.validate_every=2", trials=2)
    assert ran.code == 0, ran.err
    study = study_of(clip, "cnn")
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 2
    folder = clip / "sweeps" / "cnn"
    assert (folder / "optimization_history.png").exists()
    best = yaml.safe_load((folder / "best.yaml").read_text())
    assert best["value"] == study.best_value
    assert best["trial"] == study.best_trial.number
    for name, value in study.best_trial.params.items():
        assert f"{name}={value}" in best["overrides"]
    pointer = read_best(clip / "runs" / "cnn" / "best.json")
    assert pointer.score == study.best_value
    assert pointer.fingerprint["task"]["module"]["lr"] == study.best_trial.params["model.cnn.module.lr"]
    assert f"command: {best['command']}\n" in ran.out
    used = run("dreaming", f"clip={clip}", "stages=[mask]", "masker=cnn", *MACHINE)
    assert used.code == 0, used.err
    said = used.out + used.err
    assert ("values of sweep cnn" in said, "trained in" in said, len(list((clip / "masks/cnn").glob("*.png")))) == (
        True, False, 8,
    )  # fmt: skip
    again = run("train.py", *shlex.split(best["command"])[2:], *MACHINE)
    assert again.code == 0, again.err
    repeated = read_best(clip / "runs" / "cnn" / "best.json")
    assert repeated.weights != pointer.weights
    assert (repeated.score, repeated.fingerprint) == (pointer.score, pointer.fingerprint)
    assert sweep(clip, "cnn", *small, "model.cnn.validate_every=2", trials=3).code == 0
    assert len(study_of(clip, "cnn").trials) == 3
    other = sweep(clip, "cnn", *small, "model.cnn.module.lr=interval(1e-4,1e-2)", trials=4)
    assert other.code == 2
    assert "sweep.name=ANOTHER" in other.err


@pytest.mark.slow
def test_a_trial_of_a_network_that_reaches_across_a_crop_fails_in_a_sentence_and_the_sweep_goes_on(disc_clip, sweep):
    clip = disc_clip(masks=(1, 8)).path
    shape = ("kernel_size=9", "num_layers=4", "dilation=2", "intermediate_channels=2", "separable=true", "norm=none")
    deep = [f"model.cnn.module.network.{text}" for text in (*shape, "positional_encoding=none")]
    deep += ["model.cnn.module.lr=0.01", "data.segmentation.batch_size=2"]  # all that is searched, for a grid of two
    space = "+hydra.sweeper.params={model.cnn.module.network.padding:'choice(zero,reflection)'}"
    ran = sweep(clip, "cnn", *deep, space, "sweep/pruner=none", "hydra/sweeper/sampler=grid")
    assert ran.code == 0, ran.err
    states = {tuple(trial.params.values()): trial.state for trial in study_of(clip, "cnn").trials}
    assert states == {("zero",): TrialState.COMPLETE, ("reflection",): TrialState.FAIL}
    assert "data.segmentation.crop: found 32" in " ".join((ran.out + ran.err).split())


@pytest.mark.slow
def test_the_best_trial_is_used_from_then_on_and_it_is_said(disc_clip, run, tiny):
    drawing = disc_clip(masks=(1, 8))
    folder = drawing.path / "sweeps" / "grey"
    folder.mkdir(parents=True)
    facts = {"sweep": "grey", "component": "threshold", "trial": 1, "value": 0.9, "command": "x"}
    tuned = ["masker.threshold.space=lab", "masker.threshold.cleaning.closing=3"]
    (folder / "best.yaml").write_text(yaml.safe_dump({**facts, "overrides": tuned}))

    def made(*overrides):
        ran = run("dreaming", f"clip={drawing.path}", "stages=[mask]", *tiny(), "masker=threshold", *overrides)
        assert ran.code == 0, ran.err
        config = json.loads((drawing.path / "masks" / "threshold" / "manifest.json").read_text())["config"]["masker"]
        said = " ".join((ran.out + ran.err).split())  # on lines as wide as the screen
        assert said.count("best values of sweep grey") == ("tuned=false" not in overrides)
        return (config["space"], config["cleaning"]["closing"]), said

    found = "threshold: best values of sweep grey (trial 1, 0.9000):"
    values, said = made()
    assert values == ("lab", 3)
    assert f"{found} {' '.join(tuned)}; tuned=false ignores" in said
    values, said = made("masker.threshold.space=hsv")
    assert values == ("hsv", 3)
    assert f"{found} {tuned[1]}; tuned=false ignores" in said
    assert made("tuned=false")[0] == ("hsv", None)


@pytest.mark.slow
def test_what_a_sweep_found_for_one_model_is_set_for_that_one_only(disc_clip, in_job, tiny):
    drawing = disc_clip(masks=(1, 8))
    folder = drawing.path / "sweeps" / "cnn"
    folder.mkdir(parents=True)
    facts = {"sweep": "cnn", "component": "cnn", "trial": 1, "value": 0.9, "command": "x"}
    tuned = ["model.cnn.module.lr=0.02", "data.segmentation.batch_size=3"]
    (folder / "best.yaml").write_text(yaml.safe_dump({**facts, "overrides": tuned}))

    def look(config):
        maskers = build(config, "stage.mask", run_folder=drawing.path).maskers
        batch = {name: masker.task.data.keywords["batch_size"] for name, masker in maskers.items()}
        assert batch == {"cnn": 3, "unet": 4}

    small = [text for text in tiny() if "batch_size" not in text]
    in_job(look, "stages=[mask]", *small, "masker=[unet,cnn]", clip=drawing.path)


@pytest.mark.slow
def test_what_a_sweep_found_is_in_the_recorded_and_the_logged_config(disc_clip, tiny, monkeypatch):
    drawing = disc_clip(masks=(1, 8))
    folder = drawing.path / "sweeps" / "cnn"
    folder.mkdir(parents=True)
    facts = {"sweep": "cnn", "component": "cnn", "trial": 1, "value": 0.9, "command": "x"}
    (folder / "best.yaml").write_text(yaml.safe_dump({**facts, "overrides": ["model.cnn.module.lr=0.02"]}))
    arguments = ["dreaming", f"clip={drawing.path}", *tiny(), "stages=[mask]", "masker=cnn"]
    monkeypatch.setattr(sys, "argv", arguments)
    logged, built = [], []

    def job(config):
        logged.append(copy.deepcopy(loggers._config))  # what every W&B run of this job starts with
        built.append(config.model.cnn.module.lr)

    with pytest.raises(SystemExit) as ended:
        main("dream", job)
    assert ended.value.code == 0
    (record,) = drawing.path.glob("runs/dream/*/.hydra/config.yaml")
    assert OmegaConf.load(record).model.cnn.module.lr == built[0] == logged[0]["model"]["cnn"]["module"]["lr"] == 0.02


@pytest.mark.slow
def test_what_a_sweep_found_is_used_under_the_choices_it_was_found_with(disc_clip, in_job, tiny, capsys):
    drawing = disc_clip(masks=(1, 8))
    folder = drawing.path / "sweeps" / "style"
    folder.mkdir(parents=True)
    facts = {
        "sweep": "style",
        "component": "style",
        "trial": 1,
        "value": 0.9,
        "command": "x",
        "overrides": ["generator.lr=0.02"],
    }
    found = {"choices": ["generator=fast", "seed=0", "guides=[edges]"]}
    (folder / "best.yaml").write_text(yaml.safe_dump({**facts, **found}))
    rates = []

    def look(config):
        rates.append(build(config, "model.style").module.keywords["lr"])

    in_job(look, "stages=[stylise]", *tiny(), clip=drawing.path)
    assert "guides=[edges]" in capsys.readouterr().out
    in_job(look, "stages=[stylise]", *tiny(), "guides=[edges]", clip=drawing.path)
    assert (rates[0] == 0.02, rates[1] == 0.02) == (False, True)


def test_the_best_trial_holds_all_that_decides_what_it_is(tmp_path):
    study = optuna.create_study(direction="maximize")
    study.add_trial(
        optuna.trial.create_trial(
            value=0.5, params={"generator.lr": 0.02}, distributions={"generator.lr": FloatDistribution(0.001, 0.1)}
        )
    )
    plan = SweepConfig(name="s", component="style", folder=tmp_path, storage="", objectives=["score"])
    fixed = {"model": "style", "clip": "a", "generator": "fspbt", "seed": 3, "model.style.filtered": True, "threads": 1}
    fixed |= {"+guide@guide.wide": "gauss", "hydra/launcher": "joblib", "trainer": "cpu", "sweep": "style"}
    fixed |= {"stage.mask.validation": "folds", "stage.preview.start": 4}
    best = to_best_trial(
        SweepResult(plan, study, ["generator.lr"], fixed, ["~guide.edges"], OmegaConf.create()),
        study.best_trial,
        "train",
    )
    assert best.overrides == ("model.style.filtered=True", "generator.lr=0.02")
    assert best.choices == ("generator=fspbt", "seed=3", "+guide@guide.wide=gauss", "~guide.edges")
    assert best.command.startswith(
        "python train.py model=style clip=a stage.mask.validation=folds generator=fspbt seed=3 "
    )
    assert best.command.endswith("generator.lr=0.02")
    assert "preview" not in best.command


def test_a_best_trial_of_other_keys_is_refused(disc_clip, refused):
    drawing = disc_clip(masks=(1, 8))
    folder = drawing.path / "sweeps" / "t"
    folder.mkdir(parents=True)
    facts = {"sweep": "t", "component": "threshold", "trial": 1, "value": 0.9, "command": "x"}
    (folder / "best.yaml").write_text(yaml.safe_dump({**facts, "overrides": ["masker.threshold.gone.bins=8"]}))
    refused("dreaming", f"clip={drawing.path}", "stages=[mask]", "masker=threshold", words=("best.yaml", "gone"))


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["sweep=unet"], "-m"),
        (["-m", "sweep=unett"], "sweep=unet"),
        (["-m", "sweep=unet", "sweep/pruner=mediann"], "sweep/pruner=median"),
        (["-m", "sweep=unet", "sweep.heartbet=3"], ("sweep.heartbet", "sweep.heartbeat")),
        (["-m", "sweep=unet", "sweep.heartbeat=soon"], "sweep.heartbeat"),
        (["-m", "sweep=unet", "hydra.sweeper.n_trails=3"], "hydra.sweeper.n_trails"),
        (["-m", "sweep=unet", "hydra/sweeper/sampler=tpee"], "hydra/sweeper/sampler=tpe"),
        (
            ["-m", "sweep=unet", "+hydra.sweeper.params={model.unet.module.lrr:'interval(0.1,0.2)'}"],
            "model.unet.module.lr",
        ),
        (["-m", "sweep=unet", "+hydra.sweeper.params={model.unet.module.network.norm:'choice(bach)'}"], "'bach'"),
        (["-m", "model=cnn", "sweep=unet"], ("sweep=unet", "model=unet")),
        (["-m", "sweep=unet", "sweep.objectives=[score,seconds]"], "sweep/pruner=none"),
        (
            ["-m", "sweep=unet", "hydra.sweeper.storage='sqlite:///x.db'"],
            ("hydra.sweeper.storage", "sweep.storage=URL"),
        ),
        (["-m", "sweep=unet", "hydra.sweeper.study_name=mine"], ("no effect", "sweep.name=NAME")),
        (["-m", "sweep=unet", "hydra.sweeper.direction=minimize"], ("no effect", "sweep.objectives=")),
        (["-m", "sweep=unet", "hydra.sweeper.max_failure_rate=0.5"], ("no effect", "sweep.max_failures=")),
        (["-m", "sweep=unet", "hydra.sweeper.n_jobs=0"], ("hydra.sweeper.n_jobs", "1 or more")),
        (["-m", "sweep=unet", "trainer=ddp"], ("trainer.devices", "-1", "trainer=gpu")),
        (["-m", "sweep=unet", "trainer=gpu", "trainer.devices=[0,1]"], "trainer.devices"),
    ],
)
def test_a_misspelt_sweep_is_named_and_nothing_is_made(disc_clip, refused_untouched, texts, words):
    refused_untouched("train.py", f"clip={disc_clip(count=2, masks=(1, 2)).path}", *texts, words=words)


@pytest.mark.parametrize("devices", ["1", "[0]"])
def test_trials_on_one_device_are_taken_whatever_the_strategy(disc_clip, refused_untouched, devices):
    refused_untouched(
        "train.py", "-m", f"clip={disc_clip(count=2, masks=(1, 2)).path}", "sweep=unet", "trainer=ddp",
        f"trainer.devices={devices}", "+hydra.sweeper.params={model.unet.module.network.norm:'choice(bach)'}",
        words="'bach'",
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", ["unet", "cnn", "ensemble", "style"])
def test_every_sweep_of_a_model_runs_two_trials(disc_clip, sweep, name):
    clip = disc_clip(masks=(1, 8)).path
    ran = sweep(clip, name, *TINY_SPACES.get(name, []), "sweep/pruner=median")
    assert ran.code == 0, ran.err
    assert len(study_of(clip, name).trials) == 2
    assert list((clip / "runs" / name).glob("best*.json"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gmm", "pixels"])
def test_a_sweep_of_a_masker_runs_two_trials_and_touches_no_masks(disc_clip, sweep, name):
    clip = disc_clip(masks=(1, 8)).path
    ran = sweep(clip, name, program="dreaming")
    assert ran.code == 0, ran.err
    study = study_of(clip, name)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 2
    assert all(0 <= trial.value <= 1 for trial in study.trials)
    assert not (clip / "masks").exists()
    assert (clip / "sweeps" / name / "best.yaml").exists()


@pytest.mark.slow
def test_a_database_that_holds_the_sweep_of_another_clip_is_refused(disc_clip, sweep, tmp_path):
    shared = f"sweep.storage='sqlite:///{tmp_path}/shared.db'"
    one, other = disc_clip("a").path, disc_clip("b", masks=(1, 8)).path
    assert sweep(one, "threshold", shared, program="dreaming", trials=1).code == 0
    ran = sweep(other, "threshold", shared, program="dreaming", trials=1)
    assert ran.code == 2
    assert "other hand masks" in ran.err
    assert "sweep.name=ANOTHER" in ran.err
    assert not (other / "sweeps" / "threshold" / "best.yaml").exists()
    changed = sweep(one, "threshold", shared, "seed=3", program="dreaming", trials=2)
    assert changed.code == 2
    assert "found seed=3" in changed.err


NUMBERS = (
    "+hydra.sweeper.params={masker.threshold.cleaning.holes:'interval(0.001,0.02)',"
    "masker.threshold.cleaning.smallest:'interval(0.0005,0.01)'}"
)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["gp", "cmaes"])
def test_samplers_that_model_what_they_found_go_beyond_their_random_starts(disc_clip, sweep, sampler):
    clip = disc_clip(masks=(1, 4, 8)).path
    begun = (f"hydra/sweeper/sampler={sampler}", "hydra.sweeper.sampler.n_startup_trials=2")
    ran = sweep(clip, "threshold", NUMBERS, *begun, program="dreaming", trials=4)
    assert ran.code == 0, ran.err
    trials = study_of(clip, "threshold").trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 4
    assert all(0.001 <= trial.params["masker.threshold.cleaning.holes"] <= 0.02 for trial in trials)


@pytest.mark.slow
def test_a_sampler_whose_package_is_absent_is_refused_at_once(disc_clip, refused_untouched, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "cmaes" else find(name, *more))
    refused_untouched(
        "dreaming", "-m", f"clip={disc_clip(masks=(1, 8)).path}", "sweep=threshold", "hydra/sweeper/sampler=cmaes",
        words=("cmaes", "dreaming[sweep]"),
    )  # fmt: skip


@pytest.mark.slow
def test_hopeless_trials_are_pruned_in_parallel_jobs_and_the_sweep_goes_on(disc_clip, sweep, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    clip = disc_clip(masks=(1, 4, 8)).path
    # Three folds of two validations: the fourth is the first after which a trial may end.
    hopeless = ("sweep/pruner=threshold", "sweep.pruner.lower=1.1", "sweep.pruner.n_warmup_steps=60")
    joblib = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2", *hopeless)
    ran = sweep(clip, "cnn", *TINY_SPACES["cnn"], *joblib, "logger=wandb", trials=4)
    assert ran.code == 0, ran.err
    study = study_of(clip, "cnn")
    assert [trial.state for trial in study.trials] == [TrialState.PRUNED] * 4
    for trial in study.trials:
        assert trial.user_attrs["pruned"]
        assert list(trial.intermediate_values) == [16, 33, 50, 66]
        assert trial.user_attrs["best_value"] == max(trial.intermediate_values.values())
        assert (clip / trial.user_attrs["folder"] / "trial.json").exists()
    folder = clip / "sweeps" / "cnn"
    assert not (folder / "best.yaml").exists(), "a pruned trial is nobody's best"
    assert (folder / "dashboard.png").exists()
    (line,) = [line for line in (ran.out + ran.err).splitlines() if "wandb sync" in line]
    run = clip / study.trials[0].user_attrs["folder"]
    assert f"{run.parent}/*/wandb/offline-run-* {folder}/wandb/offline-run-*" in line


@pytest.mark.slow
def test_two_objectives_leave_a_front(disc_clip, sweep):
    clip = disc_clip(masks=(1, 8)).path
    both = ("sweep.objectives=[score,seconds]", "hydra.sweeper.direction=[maximize,minimize]", "sweep/pruner=none")
    ran = sweep(clip, "cnn", *TINY_SPACES["cnn"], *both, "hydra/sweeper/sampler=nsgaii")
    assert ran.code == 0, ran.err
    # A network too deep for its crops ends at once, and is not counted.
    complete = study_of(clip, "cnn").get_trials(states=(TrialState.COMPLETE,))
    assert len(complete) == 2
    assert all(0 <= trial.values[0] <= 1 and trial.values[1] > 0 for trial in complete)
    assert (clip / "sweeps" / "cnn" / "pareto_front.png").exists()


@pytest.mark.slow
def test_a_masker_is_swept_for_quality_and_time(disc_clip, sweep):
    clip = disc_clip(masks=(1, 8)).path
    space = "+hydra.sweeper.params={masker.threshold.bins:'choice(16,64)'}"
    both = ("sweep.objectives=[score,seconds]", "hydra/sweeper/sampler=random")
    ran = sweep(clip, "threshold", space, *both, program="dreaming")
    assert ran.code == 0, ran.err
    study = study_of(clip, "threshold")
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 2
    assert all(0 <= trial.values[0] <= 1 and trial.values[1] > 0 for trial in study.trials)
    best = yaml.safe_load((clip / "sweeps" / "threshold" / "best.yaml").read_text())
    assert best["value"] == max(trial.values[0] for trial in study.trials)
    assert (clip / "sweeps" / "threshold" / "pareto_front.png").exists()
    assert not (clip / "masks").exists()
