"""The job of ``train.py``: the score it returns, and what it refuses."""

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig

from dreaming.cli.config import config_root, register_resolvers
from dreaming.cli.training import train_model
from dreaming.errors import ClipError


@pytest.mark.parametrize("model", ["unet", "style"])
def test_a_clip_without_masks_or_keyframes_is_refused_before_a_training(disc_clip, model):
    register_resolvers()
    drawing = disc_clip(count=2, masks=(), keyframes=())
    overrides = [f"clip={drawing.path}", f"model={model}", "logger=csv", "trainer=cpu", "hydra.mode=RUN"]
    overrides.append(f"hydra.runtime.output_dir={drawing.path / 'runs'}")
    with initialize_config_dir(str(config_root() / "conf")):
        config = compose("train", overrides=overrides, return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    try:
        with pytest.raises(ClipError) as refused:
            train_model(config)
    finally:
        HydraConfig.instance().cfg = None
    assert refused.value.where == str(drawing.path)
