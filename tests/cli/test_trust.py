import contextlib
import io
import json
import pickle

import pytest
import torch
import yaml
from omegaconf import OmegaConf

from dreaming.cli.build import build
from dreaming.cli.check import check
from dreaming.cli.config import register_resolvers
from dreaming.cli.trust import TRUSTED, find_target, trust
from dreaming.errors import ConfigError, DreamingError
from dreaming.training.checkpoints import LAST, load, recover

REFUSED = [
    "os.system",
    "subprocess.run",
    "builtins.eval",
    "antigravity.fly",
    "dreamingx.y",
    "lightning_fabric.utilities.cloud_io._load",
    "pytorch_lightning.utilities.cloud_io._load",
    "pytorch_lightning.core.saving.load_hparams_from_yaml",
    "pytorch_lightning.callbacks.model_checkpoint.yaml.unsafe_load",
    "torch.load",
    "torch.optim.swa_utils.deepcopy",
    "dreaming.io.atomic.os.system",
    "dreaming.io.atomic._private",
    "dreaming.artifacts.manifest.json.loads",
    "dreaming.artifacts.manifest.write_record",
    "dreaming.io.atomic.write_atomically",
    "dreaming.io.frame_folder.FrameFolder",
    "dreaming.training.checkpoints.AtomicCheckpointIO",
    "pytorch_lightning.callbacks.LambdaCallback",
    "pytorch_lightning.callbacks.ModelCheckpoint",
    "pytorch_lightning.loggers.CSVLogger",
    "pytorch_lightning.profilers.AdvancedProfiler",
    "torch.optim.swa_utils.AveragedModel",
    "optuna.pruners.BasePruner",
    "dreaming",
    "Trainer",
    "",
]


@pytest.mark.parametrize("target", REFUSED)
def test_a_target_elsewhere_is_refused(target):
    with pytest.raises(ConfigError) as error:
        build(OmegaConf.create({"a": {"_target_": target}}), "a")
    assert (error.value.where, error.value.found) == ("a._target_", target)


@pytest.mark.parametrize("target", [*TRUSTED, "dreaming.networks.unet.UNet"])
def test_trusted_names_are_found(target):
    assert find_target(target).__name__ == target.rpartition(".")[2]


def test_a_trusted_module_that_misses_another_one_says_so(tmp_path, monkeypatch):
    package = tmp_path / "trusted_but_broken"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "network.py").write_text("import no_such_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)
    trust(["trusted_but_broken"])
    try:
        with pytest.raises(ConfigError) as error:
            build(OmegaConf.create({"a": {"_target_": "trusted_but_broken.network.Network"}}), "a")
    finally:
        trust([])
    assert error.value.where == "a._target_"
    assert isinstance(error.value.__cause__, ModuleNotFoundError)
    assert "no_such_dependency" in str(error.value.found)


class Payload:
    """Pickled, it makes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def hostile_files(owned):
    """Contents that would make the file ``owned`` if they were executed, for each kind of file of a clip."""
    tag = f"!!python/object/apply:builtins.open ['{owned}', 'w']"
    node = f"{{_target_: builtins.open, file: '{owned}', mode: w}}"
    data = io.BytesIO()
    torch.save({"state_dict": Payload(owned), "global_step": 1}, data)
    lightning = "_target_:lightning_fabric.utilities.cloud_io._load,path_or_url:'${clip}/x.pt',weights_only:false"
    best = {"sweep": "s", "component": "threshold", "trial": 1, "value": 1.0, "command": "x"}
    return {
        "x.pt": data.getvalue(),
        "clip.yaml": f"gamma: {tag}\n",
        "sweeps/s/best.yaml": yaml.safe_dump(
            {**best, "overrides": [f"masker.threshold.workers={{_target_:{lightning}}}"]}
        ),
        "runs/dream/2026/.hydra/config.yaml": f"masker: {{threshold: {node}}}\n",
        "runs/dream/2026/.hydra/overrides.yaml": "- trusted_packages=[builtins]\n",
        "runs/unet/2026/checkpoints/last.ckpt": data.getvalue(),
        "runs/unet/2026/checkpoints/best.ckpt": data.getvalue(),
        "runs/unet/best.json": json.dumps({"_target_": "builtins.open", "file": owned, "mode": "w"}),
        "masks/threshold/manifest.json": json.dumps({"maker": tag, "config": {"_target_": "builtins.open"}}),
        "split.json": tag,
        "source.json": json.dumps({"_target_": "builtins.open", "path": owned}),
        "evaluation.json": "${oc.env:HOME}",
        "bounds.json": pickle.dumps(Payload(owned)),
        "manifest.json": pickle.dumps(Payload(owned)),
        "hydra_plugins/evil/__init__.py": f"open({owned!r}, 'w')\n",
        "conf/masker/threshold.yaml": f"threshold: {node}\n",
        "sitecustomize.py": f"open({owned!r}, 'w')\n",
        "wandb/settings": f"[default]\nbase_url = {owned}\n",
        "<script>.html": f"<script>{owned}</script>",
    }


def write(clip, name, content):
    path = clip / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


REFUSED_FILES = ("clip.yaml", "sweeps/s/best.yaml")


def test_a_clip_from_elsewhere_executes_nothing(disc_clip, run, tmp_path, monkeypatch):
    clip, owned = disc_clip(count=3, masks=(1, 3), keyframes=()).path, tmp_path / "owned"
    for name, content in hostile_files(str(owned)).items():
        if name not in REFUSED_FILES:
            write(clip, name, content)
    monkeypatch.chdir(clip)
    ran = run("dreaming", "clip=.", "masker=threshold", "stages=[mask,report]")
    assert ran.code == 0, ran.err
    assert not owned.exists()


@pytest.mark.parametrize("name", REFUSED_FILES)
def test_a_file_that_names_code_is_refused(disc_clip, tmp_path, name):
    clip, owned = disc_clip(count=3, masks=(1, 3), keyframes=()).path, tmp_path / "owned"
    files = hostile_files(str(owned))
    write(clip, "x.pt", files["x.pt"])
    write(clip, name, files[name])
    register_resolvers()
    with pytest.raises(DreamingError) as refused:
        check("dream", [f"clip={clip}", "masker=threshold"])
    assert refused.value.where == str(clip / name)
    assert not owned.exists()


@pytest.mark.parametrize(
    "call",
    [lambda folder: recover(folder, torch.nn.Linear(1, 1)), lambda folder: load(torch.nn.Linear(1, 1), folder / LAST)],
)
def test_a_pickle_in_place_of_a_checkpoint_is_not_executed(tmp_path, call):
    owned = tmp_path / "owned"
    write(tmp_path, LAST, hostile_files(str(owned))["x.pt"])
    with contextlib.suppress(DreamingError, pickle.UnpicklingError):
        call(tmp_path)
    assert not owned.exists()


def test_a_run_folder_is_not_rerun(disc_clip, refused_untouched):
    clip = disc_clip(count=3, masks=(1, 3)).path
    flag = f"--experimental-rerun={clip / 'runs'}"
    refused_untouched("dreaming", f"clip={clip}", flag, words="--experimental-rerun")
