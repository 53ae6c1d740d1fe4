"""Plans and studies in a folder of the test's own."""

import optuna
import pytest

from dreaming.sweep.config import SweepConfig
from dreaming.sweep.study import open_study


@pytest.fixture
def plan(tmp_path):
    """A plan whose study lies in the test's folder."""

    def make(**config):
        folder = tmp_path / "sweeps" / "unet"
        given = {
            "name": "unet",
            "component": "unet",
            "folder": folder,
            "storage": f"sqlite:///{folder}/study.db",
            **config,
        }
        return SweepConfig(**given)

    return make


@pytest.fixture
def study(plan):
    """A new study of a plan."""
    return lambda **config: open_study(plan(**config), optuna.samplers.RandomSampler(seed=0))
