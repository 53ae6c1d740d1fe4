"""Names that a config may refer to, and those that it may not."""

import pytest
from omegaconf import OmegaConf

from dreaming.errors import ConfigError
from dreaming.instantiation.build import build
from dreaming.instantiation.trust import TRUSTED, find_target, trust

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
    "dreaming.artifacts.record.json.loads",
    "dreaming.artifacts.record.write_record",
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
