"""What users of Lightning and Hydra expect of overrides, config groups and packages of their own."""

import csv
import json
import sys

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.errors import InstantiationException
from hydra.utils import execution_whitelist, instantiate

from dreaming.cli.config import config_root, register_resolvers
from dreaming.instantiation import trust
from dreaming.instantiation.build import build

NETWORK = '''
import pytorch_lightning as pl
from optuna.pruners import NopPruner
from pytorch_lightning.callbacks import Callback
from dreaming.networks.cnn import CNN

class Counter(Callback):
    """Count the steps of a fit in a file."""

    def __init__(self, path: str, every: int = 1) -> None:
        self.path, self.every = path, every

    def on_train_batch_end(self, *_) -> None:
        with open(self.path, "a") as file:
            file.write("x")

class Tiny(CNN):
    """A network of the user's."""

class Pruner(NopPruner):
    """A pruner of the user's."""
'''


@pytest.fixture
def composed(tmp_path):
    register_resolvers()

    def make(*overrides, program="train"):
        with initialize_config_dir(str(config_root() / "conf")):
            return compose(program, overrides=[f"clip={tmp_path}", *overrides])

    return make


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of the user's, with config groups of its own; returns its name and the folder of the groups."""
    folder = tmp_path / "elsewhere" / "my_extension"
    (folder / "conf" / "callbacks").mkdir(parents=True)
    (folder / "__init__.py").write_text(NETWORK)
    counter = {"counter": {"_target_": "my_extension.Counter", "path": str(tmp_path / "steps"), "every": 1}}
    (folder / "conf" / "callbacks" / "count.yaml").write_text("# @package callbacks\n" + yaml.safe_dump(counter))
    monkeypatch.syspath_prepend(folder.parent)
    yield "my_extension", folder / "conf"
    sys.modules.pop("my_extension", None)
    trust.trust([])


@pytest.mark.parametrize("trainer", ["auto", "cpu"])
@pytest.mark.parametrize(
    ("override", "name", "value"),
    [
        ("+trainer.fast_dev_run=true", "fast_dev_run", True),
        ("+trainer.profiler=simple", "profiler", "simple"),
        ("++trainer.gradient_clip_val=1.0", "gradient_clip_val", 1.0),
        ("++trainer.precision=64-true", "precision", "64-true"),
    ],
)
def test_whatever_a_trainer_accepts_is_passed_on(composed, trainer, override, name, value):
    made = build(composed(f"trainer={trainer}", override), "trainer")
    assert made.keywords[name] == value
    assert made(logger=False, enable_checkpointing=False) is not None


@pytest.mark.slow
@pytest.mark.parametrize("override", ["+trainer.profiler=simple", "+trainer.fast_dev_run=true"])
def test_a_fit_accepts_what_its_trainer_accepts(run, disc_clip, tiny, override):
    drawing = disc_clip(masks=(1, 8), keyframes=())
    ran = run("train.py", "model=cnn", f"clip={drawing.path}", *tiny("cnn"), override)
    assert ran.code == 0, ran.err


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("+trainer.max_epochs=3", "trainer.max_epochs"),
        ("+trainer.max_steps=3", "trainer.max_steps"),
        ("+trainer.callbacks=[]", "trainer.callbacks"),
        ("+trainer.logger=true", "trainer.logger"),
        ("+trainer.profilr=simple", "trainer.profilr"),
        ("+trainer.gradient_clip_val=high", "trainer.gradient_clip_val"),
        ("+logger.csv.nosuch=1", "logger.csv.nosuch"),
        ("+callbacks.mine=3", "+callbacks.mine"),
        ("+callbacks.mine={_target_:os.system}", "callbacks.mine._target_"),
        ("callbacks=nosuch", "callbacks=nosuch"),
        ("+nosuch.key=1", "+nosuch.key"),
    ],
)
def test_what_a_fit_sets_itself_and_what_nothing_accepts_is_refused_by_name(
    refused_untouched, disc_clip, override, key
):
    refused_untouched("train.py", f"clip={disc_clip(count=2, masks=(1, 2)).path}", override, words=f"train.py: {key}: ")


def test_a_logger_accepts_arguments_that_its_file_does_not_name(composed):
    made = build(composed("logger=wandb", "+logger.wandb.name=foo"), "logger")["wandb"]
    assert made.keywords["name"] == "foo"


def test_a_mac_is_a_trainer(composed):
    assert composed("trainer=mps").trainer.accelerator == "mps"


def test_several_loggers_at_once(composed):
    assert set(build(composed("logger=[csv,tensorboard]"), "logger")) == {"csv", "tensorboard"}
    assert set(composed("logger=[tensorboard,wandb]").logger) == {"csv", "tensorboard", "wandb"}


@pytest.mark.slow
def test_callbacks_are_chosen_by_group(run, disc_clip, tiny, composed):
    assert build(composed(), "callbacks") == {}
    assert set(build(composed("callbacks=[learning_rate,device_stats]"), "callbacks")) == {
        "learning_rate",
        "device_stats",
    }
    drawing = disc_clip(masks=(1, 8), keyframes=())
    ran = run("train.py", "model=cnn", f"clip={drawing.path}", *tiny("cnn"), "callbacks=[learning_rate,ema]")
    assert ran.code == 0, ran.err
    (metrics,) = drawing.path.glob("runs/cnn/2*/metrics/metrics.csv")
    assert any(name.startswith("lr-") for name in next(csv.reader(metrics.open())))


@pytest.mark.parametrize("where", ["--config-dir", pytest.param("hydra.searchpath", marks=pytest.mark.slow)])
def test_a_network_and_a_callback_of_a_user_s_own_package(run, refused, disc_clip, tiny, package, tmp_path, where):
    name, conf = package
    drawing = disc_clip(masks=(1, 8), keyframes=())
    small = [text for text in tiny("cnn") if ".network." not in text]
    found = ("--config-dir", conf) if where == "--config-dir" else (f"hydra.searchpath=[file://{conf}]",)
    node = "model.cnn.module.network"
    network = (
        f"~{node}",
        f"+{node}={{_target_:my_extension.Tiny,_partial_:true,num_layers:2,intermediate_channels:2}}",
    )
    arguments = (*found, "model=cnn", f"clip={drawing.path}", *small, "callbacks=count")
    refused("train.py", *arguments, words="callbacks.counter._target_: found my_extension.Counter")
    trusted = f"trusted_packages=[{name}]"
    refused("train.py", *arguments, trusted, "callbacks.counter.every=x", words="callbacks.counter.every: ")
    ran = run("train.py", *arguments, trusted, *network)
    assert ran.code == 0, ran.err
    best = json.loads((drawing.path / "runs" / "cnn" / "best.json").read_text())
    assert "Tiny" in json.dumps(best)
    assert (tmp_path / "steps").read_text()


def test_hydra_itself_trusts_the_same_packages(package):
    node = {"_target_": f"{package[0]}.Pruner"}
    trust.trust([package[0]])
    with execution_whitelist(trust.whitelist()):
        assert type(instantiate(node)).__name__ == "Pruner"
    trust.trust([])
    with execution_whitelist(trust.whitelist()), pytest.raises(InstantiationException):
        instantiate(node)


@pytest.mark.slow
def test_a_pruner_of_a_user_s_own_package(run, disc_clip, tiny, package):
    clip = disc_clip(masks=(1, 8), keyframes=()).path
    pruner = ("~sweep.pruner", "+sweep.pruner={_target_:my_extension.Pruner}", f"trusted_packages=[{package[0]}]")
    none = ("sweep=cnn", "hydra.sweeper.n_trials=0")
    ran = run("train.py", "-m", *none, f"clip={clip}", "trainer=cpu", "logger=csv", *pruner)
    assert ran.code == 0, ran.err
    assert (clip / "sweeps" / "cnn" / "study.db").exists()


def test_packages_are_trusted_on_the_command_line_only(refused_untouched, disc_clip, package):
    name, conf = package
    clip = f"clip={disc_clip(count=2, masks=(1, 2)).path}"
    (conf / "experiments").mkdir()
    (conf / "experiments" / "sly.yaml").write_text(f"# @package _global_\ntrusted_packages: [{name}]\n")
    for program in ("dreaming", "train.py"):
        refused_untouched(program, "--config-dir", conf, clip, "experiments=sly", words=": trusted_packages: ")
        refused_untouched(program, clip, "trusted_packages=[no_such_package]", words=": trusted_packages: ")
        refused_untouched(program, clip, "trusted_packages=[os.path]", words=": trusted_packages: ")
    refused_untouched("train.py", clip, "--config-dir", "nowhere", words="train.py: --config-dir: ")


@pytest.mark.slow
def test_a_multirun_over_seeds(run, disc_clip, tiny):
    drawing = disc_clip(masks=(1, 8), keyframes=())
    ran = run("train.py", "-m", "model=cnn", f"clip={drawing.path}", *tiny("cnn"), "seed=1,2")
    assert ran.code == 0, ran.err
    assert len(list(drawing.path.glob("runs/cnn/*/*/result.json"))) == 2


def test_the_config_that_is_kept_has_the_clip_s_values(run, disc_clip, tiny):
    drawing = disc_clip(count=2, masks=(), keyframes=())
    (drawing.path / "clip.yaml").write_text("{gamma: 2.5}")
    assert run("dreaming", f"clip={drawing.path}", *tiny(), "stages=[extract]").code == 0
    (kept,) = drawing.path.glob("runs/dream/*/.hydra/config.yaml")
    assert yaml.safe_load(kept.read_text())["stage"]["extract"]["gamma"] == 2.5
