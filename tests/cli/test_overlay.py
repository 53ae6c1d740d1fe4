import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from dreaming.cli.config import config_root, register_resolvers
from dreaming.cli.overlay import with_best_trials, with_clip_settings


def test_clip_yaml_beats_the_config_and_the_command_line_beats_clip_yaml(tmp_path):
    (tmp_path / "clip.yaml").write_text("{gamma: 2.2, start: 3, every: 2, size: [24, 32]}")
    extract = {"gamma": 1.0, "start": 1, "end": None, "every": 1, "size": None}
    asked = OmegaConf.create({"clip": str(tmp_path), "stage": {"extract": {**extract, "every": 5}}})
    found = with_clip_settings(asked, ["stage.extract.every=5"]).stage.extract
    assert found == {"gamma": 2.2, "start": 3, "end": None, "every": 5, "size": [24, 32]}


@pytest.mark.parametrize(("masker", "lr"), [("ensemble", 0.5), ("flow", 4e-3)])
def test_what_a_sweep_found_for_a_network_is_also_set_in_the_ensemble(tmp_path, masker, lr):
    folder = tmp_path / "sweeps" / "unet"
    folder.mkdir(parents=True)
    facts = {"sweep": "unet", "component": "unet", "trial": 1, "value": 0.9, "command": "x"}
    (folder / "best.yaml").write_text(yaml.safe_dump({**facts, "overrides": ["model.unet.module.lr=0.5"]}))
    register_resolvers()
    with initialize_config_dir(str(config_root() / "conf")):
        config = compose("dream", overrides=[f"clip={tmp_path}", f"masker={masker}", "stages=[mask]"])
    assert with_best_trials(config, []).model.unet.module.lr == lr
